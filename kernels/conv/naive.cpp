#include <algorithm>

#include "kernels/conv/conv.h"

namespace dae {

namespace {

// Calls f(input pixel, output pixel, tap) for every product of the formula. Pixels are counted over the
// batch.
template <class F>
void for_each_tap(const ConvShape& s, F&& f) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t i = 0; i < s.oh(); ++i)
      for (int64_t j = 0; j < s.ow(); ++j)
        for (int64_t u = 0; u < s.kh; ++u)
          for (int64_t v = 0; v < s.kw; ++v) {
            const int64_t y = i * s.stride - s.pad_top + u, x = j * s.stride - s.pad_left + v;
            if (y < 0 || y >= s.h || x < 0 || x >= s.w) continue;
            f((n * s.h + y) * s.w + x, (n * s.oh() + i) * s.ow() + j, u * s.kw + v);
          }
}

}  // namespace

template <class T>
void conv_forward_naive(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape s) {
  for (int64_t i = 0; i < s.n * s.oh() * s.ow(); ++i)
    for (int64_t o = 0; o < s.co; ++o) y[i * s.co + o] = bias ? bias[o] : T(0);
  for_each_tap(s, [&](int64_t in, int64_t out, int64_t tap) {
    for (int64_t o = 0; o < s.co; ++o)
      for (int64_t c = 0; c < s.ci; ++c)
        y[out * s.co + o] += x[in * s.ci + c] * weight[(o * s.kh * s.kw + tap) * s.ci + c];
  });
}

template <class T>
void conv_backward_input_naive(Cpu, T* dx, const T* dy, const T* weight, ConvShape s) {
  std::fill(dx, dx + s.n * s.h * s.w * s.ci, T(0));
  for_each_tap(s, [&](int64_t in, int64_t out, int64_t tap) {
    for (int64_t o = 0; o < s.co; ++o)
      for (int64_t c = 0; c < s.ci; ++c)
        dx[in * s.ci + c] += dy[out * s.co + o] * weight[(o * s.kh * s.kw + tap) * s.ci + c];
  });
}

template <class T>
void conv_backward_weight_naive(Cpu, T* dw, const T* dy, const T* x, ConvShape s) {
  std::fill(dw, dw + s.co * s.kh * s.kw * s.ci, T(0));
  for_each_tap(s, [&](int64_t in, int64_t out, int64_t tap) {
    for (int64_t o = 0; o < s.co; ++o)
      for (int64_t c = 0; c < s.ci; ++c)
        dw[(o * s.kh * s.kw + tap) * s.ci + c] += dy[out * s.co + o] * x[in * s.ci + c];
  });
}

#define INSTANTIATE(T)                                                                \
  template void conv_forward_naive(Cpu, T*, const T*, const T*, const T*, ConvShape); \
  template void conv_backward_input_naive(Cpu, T*, const T*, const T*, ConvShape);    \
  template void conv_backward_weight_naive(Cpu, T*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
