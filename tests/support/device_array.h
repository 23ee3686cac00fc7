// Device memory for tests that pass pointers to kernels, and the stream on which the kernels run.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/device/error.h"
#include "kernels/device/gpu.h"
#include "kernels/device/philox.h"

namespace dae {

inline Cuda device() { return {gpu_stream()}; }

// The same n elements on the host and on the device. No memory follows the last one.
template <class T>
struct Array {
  explicit Array(int64_t n) : Array(std::vector<T>(size_t(n))) {}
  explicit Array(std::vector<T> values) : host(std::move(values)) {
    data = static_cast<T*>(gpu_allocate(std::max<size_t>(bytes(), 1)));
    REQUIRE(data);
    upload();
  }
  Array(int64_t n, uint64_t seed) : Array(normals(n, seed)) {}
  Array(const Array&) = delete;
  ~Array() {
    try {
      gpu_free(data);
    } catch (const Error& e) { FAIL_CHECK(e.what()); }
  }
  size_t bytes() const { return host.size() * sizeof(T); }
  void upload() { gpu_upload(data, host.data(), bytes()); }
  void poison() { gpu_fill_bytes(data, 0xff, bytes()); }  // fills with NaN, or -1 for integers
  std::vector<T> download() const {
    std::vector<T> values(host.size());
    gpu_download(values.data(), data, bytes());
    return values;
  }
  std::vector<T> host;
  T* data = nullptr;

 private:
  static std::vector<T> normals(int64_t n, uint64_t seed) {
    std::vector<T> values(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; i += 4) {
      float z[4];
      normal4(random4({seed, 0, 0}, uint64_t(i / 4)), z);
      for (int64_t j = i; j < n && j < i + 4; ++j) values[size_t(j)] = T(z[j - i]);
    }
    return values;
  }
};

// Copies the host's values to the device for one expression, and copies them back at its end:
//   launch(device(), "twice", twice, 1, 32, 0, there(y), there(x))
template <class T>
struct There {
  There(T* host, size_t n)
      : host(host), array(std::vector<std::remove_const_t<T>>(host, host + n)), data(array.data) {}
  ~There() noexcept(false) {
    if (std::uncaught_exceptions()) return;
    const auto values = array.download();
    if constexpr (!std::is_const_v<T>) std::copy(values.begin(), values.end(), host);
  }
  operator T*() const { return data; }
  T* host;
  Array<std::remove_const_t<T>> array;
  T* data;
};
template <class T>
There<T> there(std::vector<T>& values) {
  return {values.data(), values.size()};
}
template <class T>
There<const T> there(const std::vector<T>& values) {
  return {values.data(), values.size()};
}
template <class T, size_t N>
There<T> there(T (&values)[N]) {
  return {values, N};
}

}  // namespace dae
