#include "kernels/resample/resample.h"

#include "kernels/cpu/parallel.h"

namespace dae {

namespace {

// The part of a window that lies inside the image, along one axis.
struct Window {
  int64_t begin, end;
};
// Returns the part of output o's window that lies inside [0, size).
Window window(int64_t o, int64_t stride, int64_t pad, int64_t kernel, int64_t size) {
  const int64_t first = o * stride - pad;
  return {std::max<int64_t>(first, 0), std::min(first + kernel, size)};
}
template <class T>
T weight_of(Window y, Window x, const PoolShape& s, bool count_pad) {
  return T(1) / T(count_pad ? s.kernel * s.kernel : (y.end - y.begin) * (x.end - x.begin));
}
template <class F>
void each_image(int64_t n, F f) {
  parallel_for(n, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

}  // namespace

template <class T>
void upsample_forward(Cpu, T* y, const T* x, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor) {
  each_image(n * h * factor, [=](int64_t row) {
    const int64_t image = row / (h * factor), source = row % (h * factor) / factor;
    for (int64_t ox = 0; ox < w * factor; ++ox)
      std::copy_n(x + ((image * h + source) * w + ox / factor) * c, c, y + (row * w * factor + ox) * c);
  });
}
template <class T>
void upsample_backward(Cpu, T* dx, const T* dy, int64_t n, int64_t h, int64_t w, int64_t c, int64_t factor) {
  each_image(n * h, [=](int64_t row) {
    for (int64_t ix = 0; ix < w; ++ix) {
      T* out = dx + (row * w + ix) * c;
      std::fill_n(out, c, T(0));
      for (int64_t ky = 0; ky < factor; ++ky)
        for (int64_t kx = 0; kx < factor; ++kx) {
          const T* in = dy + ((row * factor + ky) * w * factor + ix * factor + kx) * c;
#pragma omp simd
          for (int64_t j = 0; j < c; ++j) out[j] += in[j];
        }
    }
  });
}

template <class T>
void max_pool_forward(Cpu, T* y, int64_t* index, const T* x, const PoolShape& s) {
  const int64_t oh = s.oh(), ow = s.ow();
  each_image(s.n, [=](int64_t n) {
    for (int64_t oy = 0; oy < oh; ++oy)
      for (int64_t ox = 0; ox < ow; ++ox) {
        const Window wy = window(oy, s.stride, s.pad, s.kernel, s.h),
                     wx = window(ox, s.stride, s.pad, s.kernel, s.w);
        T* const out = y + ((n * oh + oy) * ow + ox) * s.c;
        int64_t* const at = index + (out - y);
        for (int64_t iy = wy.begin; iy < wy.end; ++iy)
          for (int64_t ix = wx.begin; ix < wx.end; ++ix) {
            const int64_t i = (iy * s.w + ix) * s.c;
            const T* in = x + n * s.h * s.w * s.c + i;
            const bool first = iy == wy.begin && ix == wx.begin;
#pragma omp simd
            for (int64_t c = 0; c < s.c; ++c) {
              const bool more = first || in[c] > out[c] || in[c] != in[c];  // NaN stays
              out[c] = more ? in[c] : out[c], at[c] = more ? i + c : at[c];
            }
          }
      }
  });
}
template <class T>
void max_pool_backward(Cpu, T* dx, const T* dy, const int64_t* index, const PoolShape& s) {
  const int64_t in = s.h * s.w * s.c, out = s.oh() * s.ow() * s.c;
  each_image(s.n, [=](int64_t n) {
    std::fill_n(dx + n * in, in, T(0));
    for (int64_t i = n * out; i < (n + 1) * out; ++i) dx[n * in + index[i]] += dy[i];
  });
}

template <class T>
void avg_pool_forward(Cpu, T* y, const T* x, const PoolShape& s, bool count_pad) {
  const int64_t oh = s.oh(), ow = s.ow();
  each_image(s.n, [=](int64_t n) {
    for (int64_t oy = 0; oy < oh; ++oy)
      for (int64_t ox = 0; ox < ow; ++ox) {
        const Window wy = window(oy, s.stride, s.pad, s.kernel, s.h),
                     wx = window(ox, s.stride, s.pad, s.kernel, s.w);
        T* out = y + ((n * oh + oy) * ow + ox) * s.c;
        std::fill_n(out, s.c, T(0));
        for (int64_t iy = wy.begin; iy < wy.end; ++iy)
          for (int64_t ix = wx.begin; ix < wx.end; ++ix) {
            const T* in = x + ((n * s.h + iy) * s.w + ix) * s.c;
#pragma omp simd
            for (int64_t c = 0; c < s.c; ++c) out[c] += in[c];
          }
        const T f = weight_of<T>(wy, wx, s, count_pad);
        for (int64_t c = 0; c < s.c; ++c) out[c] *= f;
      }
  });
}
template <class T>
void avg_pool_backward(Cpu, T* dx, const T* dy, const PoolShape& s, bool count_pad) {
  const int64_t oh = s.oh(), ow = s.ow(), in = s.h * s.w * s.c;
  each_image(s.n, [=](int64_t n) {
    std::fill_n(dx + n * in, in, T(0));
    for (int64_t oy = 0; oy < oh; ++oy)
      for (int64_t ox = 0; ox < ow; ++ox) {
        const Window wy = window(oy, s.stride, s.pad, s.kernel, s.h),
                     wx = window(ox, s.stride, s.pad, s.kernel, s.w);
        const T* g = dy + ((n * oh + oy) * ow + ox) * s.c;
        const T f = weight_of<T>(wy, wx, s, count_pad);
        for (int64_t iy = wy.begin; iy < wy.end; ++iy)
          for (int64_t ix = wx.begin; ix < wx.end; ++ix) {
            T* out = dx + n * in + (iy * s.w + ix) * s.c;
#pragma omp simd
            for (int64_t c = 0; c < s.c; ++c) out[c] += f * g[c];
          }
      }
  });
}

#define INSTANTIATE(T)                                                                             \
  template void upsample_forward(Cpu, T*, const T*, int64_t, int64_t, int64_t, int64_t, int64_t);  \
  template void upsample_backward(Cpu, T*, const T*, int64_t, int64_t, int64_t, int64_t, int64_t); \
  template void max_pool_forward(Cpu, T*, int64_t*, const T*, const PoolShape&);                   \
  template void max_pool_backward(Cpu, T*, const T*, const int64_t*, const PoolShape&);            \
  template void avg_pool_forward(Cpu, T*, const T*, const PoolShape&, bool);                       \
  template void avg_pool_backward(Cpu, T*, const T*, const PoolShape&, bool);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
