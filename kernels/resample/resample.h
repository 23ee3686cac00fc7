// Changes of resolution of images (n, h, w, c):
//   upsampling   by an integer factor, nearest neighbour
//   pooling      over kernel x kernel windows at `stride`, with `pad` on every side. Maximum pooling never
//                counts the padding; average pooling counts it with count_pad.
#pragma once
#include "kernels/device/device.h"

namespace dae {

struct PoolShape {
  int64_t n, h, w, c, kernel, stride, pad;
  bool ceil = false;  // adds a last, partial window if it begins before the far padding
  int64_t oh() const { return out(h); }
  int64_t ow() const { return out(w); }

 private:
  int64_t out(int64_t size) const {
    const int64_t room = size + 2 * pad - kernel, whole = room / stride;
    return whole + 1 + (ceil && room % stride && (whole + 1) * stride < size + pad);
  }
};
// Writes y (n, h factor, w factor, c).
template <class T>
void upsample_forward(Cpu, T* y, const T* x, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor);
template <class T>
void upsample_forward(Cuda, T* y, const T* x, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor);
// Writes dx (n, h, w, c), the sums of dy over the copies of each pixel.
template <class T>
void upsample_backward(Cpu, T* dx, const T* dy, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor);
template <class T>
void upsample_backward(Cuda, T* dx, const T* dy, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor);
// Writes y (n, oh, ow, c), and index: the element offset of each maximum in its image; the first one on ties.
template <class T>
void max_pool_forward(Cpu, T* y, int64_t* index, const T* x, const PoolShape& s);
template <class T>
void max_pool_forward(Cuda, T* y, int64_t* index, const T* x, const PoolShape& s);
// Writes dx from the `index` of max_pool_forward.
template <class T>
void max_pool_backward(Cpu, T* dx, const T* dy, const int64_t* index, const PoolShape& s);
template <class T>
void max_pool_backward(Cuda, T* dx, const T* dy, const int64_t* index, const PoolShape& s);
// Writes y: the sum of each window divided by its pixels, or by kernel^2 with count_pad.
template <class T>
void avg_pool_forward(Cpu, T* y, const T* x, const PoolShape& s, bool count_pad);
template <class T>
void avg_pool_forward(Cuda, T* y, const T* x, const PoolShape& s, bool count_pad);
template <class T>
void avg_pool_backward(Cpu, T* dx, const T* dy, const PoolShape& s, bool count_pad);
template <class T>
void avg_pool_backward(Cuda, T* dx, const T* dy, const PoolShape& s, bool count_pad);

}  // namespace dae
