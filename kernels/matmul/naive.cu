// Matrix products, one thread for each element of y, for any size (shapes: matmul.h):
//   y[q, i, j] = sum_p op(a)[q, i, p] op(b)[q, p, j] + beta y[q, i, j], or an epilogue of the sum
// The other variants are compared with this one. 2 m n k FLOPs an item; a and b come from the caches, one
// element at a time. Not measured on a GPU yet.
#include "kernels/matmul/epilogue.cuh"

namespace dae {

namespace {

template <class F, class T>
__global__ void __launch_bounds__(256) naive_kernel(F finish, const T* a, const T* b, MatmulShape s) {
  const int64_t element = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (element >= s.batch * s.m * s.n) return;
  const int64_t j = element % s.n, i = element / s.n % s.m, q = element / (s.m * s.n);
  const int64_t a_step = s.transpose_a ? s.m : 1, b_step = s.transpose_b ? 1 : s.n;
  const T* from_a = a + q * s.m * s.k + (s.transpose_a ? i : i * s.k);
  const T* from_b = b + q * s.k * s.n + (s.transpose_b ? j * s.k : j);
  float sum = 0;
  for (int64_t p = 0; p < s.k; ++p) sum += float(from_a[p * a_step]) * float(from_b[p * b_step]);
  finish(element, sum);
}

template <class F, class T>
void run(Cuda where, F finish, const T* a, const T* b, MatmulShape s) {
  launch(where, "matmul_naive", naive_kernel<F, T>, ceil_div(s.batch * s.m * s.n, 256), 256, 0, finish, a, b,
         s);
}

}  // namespace

template <class Y, class T>
void matmul_naive(Cuda where, Y* y, const T* a, const T* b, MatmulShape s, double beta) {
  run(where, Blend<Y>{y, float(beta)}, a, b, s);
}
template <class T>
void linear_naive(Cuda where, T* y, const T* x, const T* w, MatmulShape s, const Epilogue<T>& e) {
  run(where, Finish<T>(y, s.n, e), x, w, s);
}

#define INSTANTIATE(Y, T) template void matmul_naive(Cuda, Y*, const T*, const T*, MatmulShape, double);
INSTANTIATE(float, float)
INSTANTIATE(float, bf16)
INSTANTIATE(bf16, bf16)
INSTANTIATE(float, f16)
INSTANTIATE(f16, f16)
template void linear_naive(Cuda, float*, const float*, const float*, MatmulShape, const Epilogue<float>&);
template void linear_naive(Cuda, bf16*, const bf16*, const bf16*, MatmulShape, const Epilogue<bf16>&);
template void linear_naive(Cuda, f16*, const f16*, const f16*, MatmulShape, const Epilogue<f16>&);

}  // namespace dae
