// Shared memory of the emulated device: the names of kernels/device/intrinsics.cuh as views that check every access, and
// barriers of a part of the block. Part of kernels/emulate/emulate.h.
#pragma once

#include "kernels/emulate/language.h"

namespace dae {

template <class T>
class Shared {
 public:
  Shared(T* data, int64_t size) : data_(data), size_(size) {}
  operator Shared<const T>() const { return Shared<const T>(data_, size_); }
  T& operator[](emulate::Index i) const {
    if (i.value < 0 || i.value >= size_) emulate::out_of_range(i.value, size_, i.line);
    if constexpr (std::is_const_v<T>) emulate::was_read(data_ + i.value, sizeof(T));
    else emulate::accessed(data_ + i.value, sizeof(T));
    return data_[i.value];
  }
  Shared operator+(emulate::Index i) const {
    if (i.value < 0 || i.value > size_) emulate::out_of_range(i.value, size_, i.line);
    return Shared(data_ + i.value, size_ - i.value);
  }
  Shared slice(emulate::Index i, int64_t count) const {
    if (i.value < 0 || i.value + count > size_) emulate::out_of_range(i.value + count - 1, size_, i.line);
    return Shared(data_ + i.value, count);
  }
  template <class U>
  Shared<U> as() const {
    return Shared<U>(reinterpret_cast<U*>(data_), size_ * int64_t(sizeof(T)) / int64_t(sizeof(U)));
  }
  int64_t bytes() const { return size_ * int64_t(sizeof(T)); }
  T* pointer() const { return data_; }

 private:
  T* data_;
  int64_t size_;
};

#define SHARED(T, name, count) \
  static char name##_place;    \
  const Shared<T> name(        \
      static_cast<T*>(emulate::static_shared(&name##_place, int64_t(count) * int64_t(sizeof(T)))), (count))

class DynamicShared {
 public:
  template <class T>
  Shared<T> take(int count, int align = 16, emulate::Line line = emulate::Line::current()) {
    const int64_t bytes = int64_t(count) * int64_t(sizeof(T));
    offset_ = (offset_ + align - 1) / align * align;
    T* data = static_cast<T*>(emulate::dynamic_shared(offset_, bytes, line));
    offset_ += bytes;
    return Shared<T>(data, count);
  }

 private:
  int64_t offset_ = 0;
};

template <class T>
Pack<std::remove_const_t<T>> load16(Shared<T> from, emulate::Line line = emulate::Line::current()) {
  emulate::require(from.pointer(), from.bytes(), 16, 16, "load16", line);
  Pack<std::remove_const_t<T>> p;
  emulate::was_read(from.pointer(), 16);
  std::memcpy(&p, from.pointer(), 16);
  return p;
}
template <class T>
void store16(Shared<T> to, const Pack<T>& value, emulate::Line line = emulate::Line::current()) {
  emulate::require(to.pointer(), to.bytes(), 16, 16, "store16", line);
  emulate::written(to.pointer(), 16);
  std::memcpy(to.pointer(), &value, 16);
}

inline void barrier_sync(int id, int threads, emulate::Line line = emulate::Line::current()) {
  emulate::block_barrier("barrier_sync", id, threads, 0, true, line);
}
inline void barrier_arrive(int id, int threads, emulate::Line line = emulate::Line::current()) {
  emulate::block_barrier("barrier_arrive", id, threads, 0, false, line);
}

}  // namespace dae
