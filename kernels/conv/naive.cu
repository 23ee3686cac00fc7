// The three convolutions of conv.h, one thread for each element of the result, for any kernel, stride (s) and
// padding:
//   y[n, i, j, o]   = bias[o] + sum_{u, v, c} x[n, i s - top + u, j s - left + v, c] w[o, u, v, c]
//   dx[n, p, q, c]  = sum_{u, v, o} dy[n, (p + top - u) / s, (q + left - v) / s, o] w[o, u, v, c],
//                     over those u, v for which both divisions are exact
//   dw[o, u, v, c]  = sum_{n, i, j} dy[n, i, j, o] x[n, i s - top + u, j s - left + v, c]
// The other variants are compared with this one. 2 n oh ow co kh kw ci FLOPs each; operands come from the
// caches, one element at a time. Not measured on a GPU yet.
#include "kernels/conv/variants.h"

namespace dae {

namespace {

template <class T>
__global__ void __launch_bounds__(256) forward_kernel(T* y, const T* x, const T* weight, const float* bias,
                                                      ConvShape s, int64_t oh, int64_t ow) {
  const int64_t element = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (element >= s.n * oh * ow * s.co) return;
  const int64_t o = element % s.co, pixel = element / s.co;
  const int64_t j = pixel % ow, i = pixel / ow % oh, n = pixel / (ow * oh);
  float sum = bias ? bias[o] : 0.0f;
  for (int64_t u = 0; u < s.kh; ++u)
    for (int64_t v = 0; v < s.kw; ++v) {
      const int64_t p = i * s.stride - s.pad_top + u, q = j * s.stride - s.pad_left + v;
      if (p < 0 || p >= s.h || q < 0 || q >= s.w) continue;
      const T* from = x + ((n * s.h + p) * s.w + q) * s.ci;
      const T* w = weight + ((o * s.kh + u) * s.kw + v) * s.ci;
      for (int64_t c = 0; c < s.ci; ++c) sum += float(from[c]) * float(w[c]);
    }
  y[element] = T(sum);
}

template <class T>
__global__ void __launch_bounds__(256)
    backward_input_kernel(T* dx, const T* dy, const T* weight, ConvShape s, int64_t oh, int64_t ow) {
  const int64_t element = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (element >= s.n * s.h * s.w * s.ci) return;
  const int64_t c = element % s.ci, pixel = element / s.ci;
  const int64_t q = pixel % s.w, p = pixel / s.w % s.h, n = pixel / (s.w * s.h);
  float sum = 0;
  for (int64_t u = 0; u < s.kh; ++u)
    for (int64_t v = 0; v < s.kw; ++v) {
      const int64_t down = p + s.pad_top - u, across = q + s.pad_left - v;
      if (down < 0 || down % s.stride || across < 0 || across % s.stride) continue;
      const int64_t i = down / s.stride, j = across / s.stride;
      if (i >= oh || j >= ow) continue;
      const T* from = dy + ((n * oh + i) * ow + j) * s.co;
      const T* w = weight + (u * s.kw + v) * s.ci + c;
      for (int64_t o = 0; o < s.co; ++o) sum += float(from[o]) * float(w[o * s.kh * s.kw * s.ci]);
    }
  dx[element] = T(sum);
}

template <class T>
__global__ void __launch_bounds__(256)
    backward_weight_kernel(float* dw, const T* dy, const T* x, ConvShape s, int64_t oh, int64_t ow) {
  const int64_t element = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (element >= s.co * s.kh * s.kw * s.ci) return;
  const int64_t c = element % s.ci, v = element / s.ci % s.kw, u = element / (s.ci * s.kw) % s.kh,
                o = element / (s.ci * s.kw * s.kh);
  float sum = 0;
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t i = 0; i < oh; ++i) {
      const int64_t p = i * s.stride - s.pad_top + u;
      if (p < 0 || p >= s.h) continue;
      float of_row = 0;  // a sum of its own, so that a long sum keeps its small terms
      for (int64_t j = 0; j < ow; ++j) {
        const int64_t q = j * s.stride - s.pad_left + v;
        if (q < 0 || q >= s.w) continue;
        of_row +=
            float(dy[((n * oh + i) * ow + j) * s.co + o]) * float(x[((n * s.h + p) * s.w + q) * s.ci + c]);
      }
      sum += of_row;
    }
  dw[element] = sum;
}

}  // namespace

template <class T>
void conv_forward_naive(Cuda where, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape s) {
  launch(where, "conv_forward_naive", forward_kernel<T>, ceil_div(s.n * s.oh() * s.ow() * s.co, 256), 256, 0,
         y, x, weight, bias, s, s.oh(), s.ow());
}
template <class T>
void conv_backward_input_naive(Cuda where, T* dx, const T* dy, const T* weight, ConvShape s) {
  launch(where, "conv_backward_input_naive", backward_input_kernel<T>, ceil_div(s.n * s.h * s.w * s.ci, 256),
         256, 0, dx, dy, weight, s, s.oh(), s.ow());
}
template <class T>
void conv_backward_weight_naive(Cuda where, Wide<T>* dw, const T* dy, const T* x, ConvShape s) {
  launch(where, "conv_backward_weight_naive", backward_weight_kernel<T>,
         ceil_div(s.co * s.kh * s.kw * s.ci, 256), 256, 0, dw, dy, x, s, s.oh(), s.ow());
}

#define INSTANTIATE(T)                                                                     \
  template void conv_forward_naive(Cuda, T*, const T*, const T*, const float*, ConvShape); \
  template void conv_backward_input_naive(Cuda, T*, const T*, const T*, ConvShape);        \
  template void conv_backward_weight_naive(Cuda, float*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
