// Which variant multiplies, by what the hardware and the instructions can do:
//   wgmma   bf16 and f16 on Hopper, where TMA can read the operands
//   mma     everything else
//   naive   sizes that do not fit the 32 bits in which the others count
// Not measured on a GPU yet.
#include <algorithm>

#include "kernels/matmul/matmul.h"

namespace {

template <class Y, class T>
void multiply(Cuda where, Y* y, const T* a, const T* b, MatmulShape s, double beta) {
  constexpr int64_t kMost = 0x7fffff00, kMostItems = 65535;  // z of a grid
  if (std::max({s.m, s.n, s.k}) > kMost || s.batch > kMostItems) return matmul_naive(where, y, a, b, s, beta);
  if constexpr (!std::is_same_v<T, float>)
    if (matmul_wgmma_fits(where, a, b, s)) return matmul_wgmma(where, y, a, b, s, beta);
  matmul_mma(where, y, a, b, s, beta);
}

}  // namespace

template <class Y, class T>
void matmul(Cuda where, Y* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta) {
  multiply(where, y, a, b, {1, m, n, k, transpose_a, transpose_b}, beta);
}

template <class T>
void batched_matmul(Cuda where, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b) {
  multiply(where, y, a, b, {batch, m, n, k, transpose_a, transpose_b}, 0);
}

#define INSTANTIATE(Y, T) \
  template void matmul(Cuda, Y*, const T*, const T*, int64_t, int64_t, int64_t, bool, bool, double);
#define INSTANTIATE_BATCHED(T) \
  template void batched_matmul(Cuda, T*, const T*, const T*, int64_t, int64_t, int64_t, int64_t, bool, bool);
INSTANTIATE(float, float)
INSTANTIATE(float, bf16)
INSTANTIATE(bf16, bf16)
INSTANTIATE(float, f16)
INSTANTIATE(f16, f16)
INSTANTIATE_BATCHED(float)
INSTANTIATE_BATCHED(bf16)
INSTANTIATE_BATCHED(f16)
