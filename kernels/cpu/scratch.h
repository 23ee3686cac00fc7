// A buffer that only grows, so that nothing is allocated after the first step of a training run. Declare it
// `thread_local` in the function that uses it. Its contents are undefined between calls.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <new>

namespace dae {

template <class T>
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(data_); }

  // Returns memory for at least n elements, aligned to a cache line of 64 bytes. Throws std::bad_alloc.
  T* get(int64_t n) {
    if (n > size_) {
      std::free(data_);
      size_ = (n + 63) / 64 * 64;
      data_ = static_cast<T*>(std::aligned_alloc(64, size_ * sizeof(T)));
      if (!data_) throw std::bad_alloc();
    }
    return data_;
  }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace dae
