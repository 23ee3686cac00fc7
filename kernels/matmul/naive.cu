// y[q, i, j] = sum_p op(a)[q, i, p] op(b)[q, p, j] + beta y[q, i, j], a thread an element of y: what the
// other variants are compared with, for any size. Shapes as in matmul.h. 2 m n k FLOPs an item; a and b come
// from the caches, one element at a time. Not measured on a GPU yet.
#include "kernels/matmul/matmul.h"

namespace {

template <class Y, class T>
__global__ void __launch_bounds__(256) naive_kernel(Y* y, const T* a, const T* b, MatmulShape s, float beta) {
  const int64_t element = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (element >= s.batch * s.m * s.n) return;
  const int64_t j = element % s.n, i = element / s.n % s.m, q = element / (s.m * s.n);
  const int64_t a_step = s.transpose_a ? s.m : 1, b_step = s.transpose_b ? 1 : s.n;
  const T* from_a = a + q * s.m * s.k + (s.transpose_a ? i : i * s.k);
  const T* from_b = b + q * s.k * s.n + (s.transpose_b ? j * s.k : j);
  float sum = 0;
  for (int64_t p = 0; p < s.k; ++p) sum += float(from_a[p * a_step]) * float(from_b[p * b_step]);
  y[element] = Y(beta == 0 ? sum : sum + beta * float(y[element]));
}

}  // namespace

template <class Y, class T>
void matmul_naive(Cuda where, Y* y, const T* a, const T* b, MatmulShape s, double beta) {
  launch(where, "matmul_naive", naive_kernel<Y, T>, ceil_div(s.batch * s.m * s.n, 256), 256, 0, y, a, b, s,
         float(beta));
}

#define INSTANTIATE(Y, T) template void matmul_naive(Cuda, Y*, const T*, const T*, MatmulShape, double);
INSTANTIATE(float, float)
INSTANTIATE(float, bf16)
INSTANTIATE(bf16, bf16)
INSTANTIATE(float, f16)
INSTANTIATE(f16, f16)
