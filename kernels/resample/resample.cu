// Changes of resolution (shapes: resample.h).
//   window_sums   y[row] = scale * sum over a window of x's positions of weight x[position]. It computes
//                 upsampling (one position), average pooling and the gradients of both. Each output gathers
//                 its terms, so that no two threads add to the same element.
//   max_pool_*    the same with the position of the maximum. The gradient of a position asks each window over
//                 it whether this position was its maximum.
// Threads run along channels, 16 bytes each. Limited by memory if windows do not overlap: input read once,
// output written once; overlaps are read again from cache. The launch bounds ask for three blocks a
// multiprocessor and no more, so that the compiler spills nothing. Not measured on a GPU yet.
#include "kernels/cuda/map.cuh"
#include "kernels/resample/resample.h"

namespace dae {

namespace {

// Sizes and positions of an image have 32 bits, as divisions are most of the arithmetic here.
struct Window {
  int begin, end;
};
struct Pool {
  int h, w, kernel, stride, pad;
  explicit Pool(const PoolShape& s)
      : h(int(s.h)), w(int(s.w)), kernel(int(s.kernel)), stride(int(s.stride)), pad(int(s.pad)) {}
};
// `window` returns the positions below `size` that output o's window covers; `covering` returns the outputs
// below `size` whose windows cover input i.
__device__ inline Window window(int o, int stride, int pad, int kernel, int size) {
  return {max(o * stride - pad, 0), min(o * stride - pad + kernel, size)};
}
__device__ inline Window covering(int i, int stride, int pad, int kernel, int size) {
  const int after = i + pad - kernel;  // padded windows that begin at or before it end before i
  return {after < 0 ? 0 : after / stride + 1, min((i + pad) / stride + 1, size)};
}

__device__ inline float share(const Pool& s, bool count_pad, int oy, int ox) {
  const Window y = window(oy, s.stride, s.pad, s.kernel, s.h), x = window(ox, s.stride, s.pad, s.kernel, s.w);
  return 1 / float(count_pad ? s.kernel * s.kernel : (y.end - y.begin) * (x.end - x.begin));
}

// Functors of window_sums. side(o, size) returns the positions of x that belong to position o of y along one
// axis. Each value of x is multiplied by weight(position of x), and the sum by scale(position of y).
struct Nearest {
  int factor;
  __device__ Window side(int o, int) const { return {o / factor, o / factor + 1}; }
  __device__ float weight(int, int) const { return 1; }
  __device__ float scale(int, int) const { return 1; }
};
struct NearestGradient {
  int factor;
  __device__ Window side(int i, int) const { return {i * factor, (i + 1) * factor}; }
  __device__ float weight(int, int) const { return 1; }
  __device__ float scale(int, int) const { return 1; }
};
struct Average {
  Pool s;
  bool count_pad;
  __device__ Window side(int o, int size) const { return window(o, s.stride, s.pad, s.kernel, size); }
  __device__ float weight(int, int) const { return 1; }
  __device__ float scale(int oy, int ox) const { return share(s, count_pad, oy, ox); }
};
struct AverageGradient {
  Pool s;
  bool count_pad;
  __device__ Window side(int i, int size) const { return covering(i, s.stride, s.pad, s.kernel, size); }
  __device__ float weight(int oy, int ox) const { return share(s, count_pad, oy, ox); }
  __device__ float scale(int, int) const { return 1; }
};

struct Sides {  // the heights and widths of y and of x
  int yh, yw, xh, xw;
};
struct Position {
  int64_t image;
  int y, x;
};
__device__ inline Position position_of(int64_t row, int height, int width) {
  const int64_t image = row / (height * width);
  const int i = int(row - image * (height * width));
  return {image, i / width, i % width};
}

// The share of a thread: one pack of channels of one row, where a row is a position of an image.
struct Place {
  int64_t row;
  int c, size;  // size <= 0 if the thread has no share
};
template <class T>
__device__ inline Place place(int64_t rows, int channels) {
  const int64_t row = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
  const int c = int(blockIdx.y * blockDim.x + threadIdx.x) * Pack<T>::size;
  return {row, c, row < rows ? min(Pack<T>::size, channels - c) : 0};
}
template <class T, class... P, class... A>
void launch_places(Cuda where, const char* name, void (*kernel)(P...), int64_t rows, int64_t channels,
                   A... args) {
  const int64_t packs = ceil_div(channels, Pack<T>::size);
  const dim3 block = row_block(packs, 256);
  launch(where, name, kernel, Grid(ceil_div(rows, block.y), ceil_div(packs, block.x)), block, 0, args...,
         rows, int(channels));
}
template <class T>
bool can_align(int64_t channels, const T* a, const T* b) {
  return channels % Pack<T>::size == 0 && on_16_bytes(a) && on_16_bytes(b);
}

template <class F, class T>
__global__ void __launch_bounds__(256, 3)
    window_sums(F f, T* y, const T* x, Sides sides, bool aligned, int64_t rows, int channels) {
  constexpr int kSize = Pack<T>::size;
  const Place my = place<T>(rows, channels);
  if (my.size <= 0) return;
  const Position o = position_of(my.row, sides.yh, sides.yw);
  const Window wy = f.side(o.y, sides.xh), wx = f.side(o.x, sides.xw);
  x += o.image * (sides.xh * sides.xw) * channels + my.c;
  float sum[kSize] = {};
  for (int iy = wy.begin; iy < wy.end; ++iy)
    for (int ix = wx.begin; ix < wx.end; ++ix) {
      const Pack<T> in = load_part(x + int64_t(iy * sides.xw + ix) * channels, my.size, aligned);
      const float weight = f.weight(iy, ix);
#pragma unroll
      for (int e = 0; e < kSize; ++e) sum[e] += weight * float(in.v[e]);
    }
  const float scale = f.scale(o.y, o.x);
  Pack<T> out;
#pragma unroll
  for (int e = 0; e < kSize; ++e) out.v[e] = T(scale * sum[e]);
  store_part(y + my.row * channels + my.c, out, my.size, aligned);
}

template <class T>
__global__ void __launch_bounds__(256, 3)
    max_pool_kernel(T* y, int64_t* index, const T* x, Pool s, Sides sides, bool aligned, int64_t rows,
                    int channels) {
  constexpr int kSize = Pack<T>::size;
  const Place my = place<T>(rows, channels);
  if (my.size <= 0) return;
  const Position o = position_of(my.row, sides.yh, sides.yw);
  const Window wy = window(o.y, s.stride, s.pad, s.kernel, s.h),
               wx = window(o.x, s.stride, s.pad, s.kernel, s.w);
  x += o.image * (s.h * s.w) * channels + my.c;
  Pack<T> top;
  int at[kSize];  // the positions of the maxima
#pragma unroll
  for (int e = 0; e < kSize; ++e) top.v[e] = T(-INFINITY), at[e] = wy.begin * s.w + wx.begin;
  for (int iy = wy.begin; iy < wy.end; ++iy)
    for (int ix = wx.begin; ix < wx.end; ++ix) {
      const int i = iy * s.w + ix;
      const Pack<T> in = load_part(x + int64_t(i) * channels, my.size, aligned);
      const bool first = iy == wy.begin && ix == wx.begin;
#pragma unroll
      for (int e = 0; e < kSize; ++e)
        if (const float v = float(in.v[e]); first || v > float(top.v[e]) || v != v)  // NaN stays
          top.v[e] = in.v[e], at[e] = i;
    }
  const int64_t out = my.row * channels + my.c;
  store_part(y + out, top, my.size, aligned);
#pragma unroll
  for (int e = 0; e < kSize; ++e)
    if (e < my.size) index[out + e] = int64_t(at[e]) * channels + my.c + e;
}

template <class T>
__global__ void __launch_bounds__(256, 3)
    max_pool_gradient(T* dx, const T* dy, const int64_t* index, Pool s, Sides sides, bool aligned,
                      int64_t rows, int channels) {
  constexpr int kSize = Pack<T>::size;
  const Place my = place<T>(rows, channels);
  if (my.size <= 0) return;
  const Position i = position_of(my.row, s.h, s.w);
  const Window wy = covering(i.y, s.stride, s.pad, s.kernel, sides.yh),
               wx = covering(i.x, s.stride, s.pad, s.kernel, sides.yw);
  const int64_t own = int64_t(i.y * s.w + i.x) * channels + my.c;
  float sum[kSize] = {};
  for (int oy = wy.begin; oy < wy.end; ++oy)
    for (int ox = wx.begin; ox < wx.end; ++ox) {
      const int64_t o = ((i.image * sides.yh + oy) * sides.yw + ox) * channels + my.c;
      const Pack<T> in = load_part(dy + o, my.size, aligned);
#pragma unroll
      for (int e = 0; e < kSize; ++e)
        if (e < my.size && index[o + e] == own + e) sum[e] += float(in.v[e]);
    }
  Pack<T> out;
#pragma unroll
  for (int e = 0; e < kSize; ++e) out.v[e] = T(sum[e]);
  store_part(dx + my.row * channels + my.c, out, my.size, aligned);
}

template <class T, class F>
void launch_sums(Cuda where, const char* name, F f, T* y, const T* x, int64_t n, Sides sides, int64_t c) {
  launch_places<T>(where, name, window_sums<F, T>, n * sides.yh * sides.yw, c, f, y, x, sides,
                   can_align(c, y, x));
}

Sides sides_of(const PoolShape& s) { return {int(s.oh()), int(s.ow()), int(s.h), int(s.w)}; }
Sides swapped(const Sides& s) { return {s.xh, s.xw, s.yh, s.yw}; }

}  // namespace

template <class T>
void upsample_forward(Cuda where, T* y, const T* x, int64_t n, int64_t h, int64_t w, int64_t c,
                      int64_t factor) {
  const int f = int(factor), ih = int(h), iw = int(w);
  launch_sums(where, "upsample_nearest", Nearest{f}, y, x, n, {ih * f, iw * f, ih, iw}, c);
}
template <class T>
void upsample_backward(Cuda where, T* dx, const T* dy, int64_t n, int64_t h, int64_t w, int64_t c,
                       int64_t factor) {
  const int f = int(factor), ih = int(h), iw = int(w);
  launch_sums(where, "upsample_nearest_backward", NearestGradient{f}, dx, dy, n, {ih, iw, ih * f, iw * f}, c);
}
template <class T>
void max_pool_forward(Cuda where, T* y, int64_t* index, const T* x, const PoolShape& s) {
  launch_places<T>(where, "max_pool", max_pool_kernel<T>, s.n * s.oh() * s.ow(), s.c, y, index, x, Pool(s),
                   sides_of(s), can_align(s.c, y, x));
}
template <class T>
void max_pool_backward(Cuda where, T* dx, const T* dy, const int64_t* index, const PoolShape& s) {
  launch_places<T>(where, "max_pool_backward", max_pool_gradient<T>, s.n * s.h * s.w, s.c, dx, dy, index,
                   Pool(s), sides_of(s), can_align(s.c, dx, dy));
}
template <class T>
void avg_pool_forward(Cuda where, T* y, const T* x, const PoolShape& s, bool count_pad) {
  launch_sums(where, "avg_pool", Average{Pool(s), count_pad}, y, x, s.n, sides_of(s), s.c);
}
template <class T>
void avg_pool_backward(Cuda where, T* dx, const T* dy, const PoolShape& s, bool count_pad) {
  launch_sums(where, "avg_pool_backward", AverageGradient{Pool(s), count_pad}, dx, dy, s.n,
              swapped(sides_of(s)), s.c);
}

#define INSTANTIATE(T)                                                                              \
  template void upsample_forward(Cuda, T*, const T*, int64_t, int64_t, int64_t, int64_t, int64_t);  \
  template void upsample_backward(Cuda, T*, const T*, int64_t, int64_t, int64_t, int64_t, int64_t); \
  template void max_pool_forward(Cuda, T*, int64_t*, const T*, const PoolShape&);                   \
  template void max_pool_backward(Cuda, T*, const T*, const int64_t*, const PoolShape&);            \
  template void avg_pool_forward(Cuda, T*, const T*, const PoolShape&, bool);                       \
  template void avg_pool_backward(Cuda, T*, const T*, const PoolShape&, bool);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
