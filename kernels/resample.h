// Changes of resolution. x (n, h, w, c). Upsampling by an integer factor, nearest; pooling over kernel x
// kernel windows at `stride`, with `pad` on every side (average: padding counted or not; maximum: never).
#pragma once
#include "kernels/device.h"

struct PoolShape {
  int64_t n, h, w, c, kernel, stride, pad;
  bool ceil = false;  // a last window that reaches beyond the padding counts, if it begins before it
  int64_t oh() const { return out(h); }
  int64_t ow() const { return out(w); }

 private:
  int64_t out(int64_t size) const {
    const int64_t room = size + 2 * pad - kernel, whole = room / stride;
    return whole + 1 + (ceil && room % stride && (whole + 1) * stride < size + pad);
  }
};
template <class T>
void upsample_forward(Cpu, T* y, const T* x, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor);
template <class T>
void upsample_forward(Cuda, T* y, const T* x, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor);
template <class T>
void upsample_backward(Cpu, T* dx, const T* dy, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor);
template <class T>
void upsample_backward(Cuda, T* dx, const T* dy, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor);
// index: offset of the maximum in its image, first on ties.
template <class T>
void max_pool_forward(Cpu, T* y, int64_t* index, const T* x, const PoolShape& s);
template <class T>
void max_pool_forward(Cuda, T* y, int64_t* index, const T* x, const PoolShape& s);
template <class T>
void max_pool_backward(Cpu, T* dx, const T* dy, const int64_t* index, const PoolShape& s);
template <class T>
void max_pool_backward(Cuda, T* dx, const T* dy, const int64_t* index, const PoolShape& s);
template <class T>
void avg_pool_forward(Cpu, T* y, const T* x, const PoolShape& s, bool count_pad);
template <class T>
void avg_pool_forward(Cuda, T* y, const T* x, const PoolShape& s, bool count_pad);
template <class T>
void avg_pool_backward(Cpu, T* dx, const T* dy, const PoolShape& s, bool count_pad);
template <class T>
void avg_pool_backward(Cuda, T* dx, const T* dy, const PoolShape& s, bool count_pad);
