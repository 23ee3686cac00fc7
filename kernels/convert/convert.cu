// Fills and conversions of the element type over arrays (n); convert.h gives the formulas. Each thread
// handles eight elements: 16 bytes of a 16-bit type, 32 bytes of f32. The kernels are bound by memory. Not
// measured on a GPU yet.
#include "kernels/convert/convert.h"

namespace dae {

namespace {

constexpr int kEach = 8, kThreads = 256;

template <class To, class From>
__global__ void __launch_bounds__(kThreads) convert_kernel(To* y, const From* x, int64_t n) {
  const int64_t first = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * kEach;
#pragma unroll
  for (int e = 0; e < kEach; ++e)
    if (first + e < n) y[first + e] = To(float(x[first + e]));
}

template <class T>
__global__ void __launch_bounds__(kThreads) fill_kernel(T* y, float value, int64_t n) {
  const int64_t first = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * kEach;
#pragma unroll
  for (int e = 0; e < kEach; ++e)
    if (first + e < n) y[first + e] = T(value);
}

}  // namespace

template <class T>
void fill(Cuda where, T* y, double value, int64_t n) {
  launch(where, "fill", fill_kernel<T>, ceil_div(n, kThreads * kEach), kThreads, 0, y, float(value), n);
}

template <class To, class From>
void convert(Cuda where, To* y, const From* x, int64_t n) {
  launch(where, "convert", convert_kernel<To, From>, ceil_div(n, kThreads * kEach), kThreads, 0, y, x, n);
}

#define INSTANTIATE(T)                                    \
  template void fill(Cuda, T*, double, int64_t);          \
  template void convert(Cuda, T*, const float*, int64_t); \
  template void convert(Cuda, T*, const bf16*, int64_t);  \
  template void convert(Cuda, T*, const f16*, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
