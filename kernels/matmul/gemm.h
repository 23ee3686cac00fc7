// Matrix products on one thread, the inner part of matmul: y = op(a) op(b) + beta y.
//   y      (m, n)
//   op(a)  (m, k); a is stored (k, m) with transpose_a
//   op(b)  (k, n); b is stored (n, k) with transpose_b
// All are row-major with row strides ldy, lda, ldb. beta = 0 never reads y.
#pragma once
#include <cstdint>

namespace dae {

// Calls gemm_onednn for f32 if oneDNN is built in and a is not transposed, otherwise gemm_tiled. The choice
// rests on timings of single shapes, on a busy machine.
template <class T>
void gemm(T* y, int64_t ldy, const T* a, int64_t lda, const T* b, int64_t ldb, int64_t m, int64_t n,
          int64_t k, bool transpose_a, bool transpose_b, double beta = 0);

// Multiplies by packed panels of b and a tile of y in registers (simd_tile.h).
template <class T>
void gemm_tiled(T* y, int64_t ldy, const T* a, int64_t lda, const T* b, int64_t ldb, int64_t m, int64_t n,
                int64_t k, bool transpose_a, bool transpose_b, double beta = 0);

#ifdef DAE_ONEDNN
// Calls oneDNN's sgemm, on one thread whatever the caller's number of threads. m, n, k > 0. Throws Error
// (Fault::internal) if oneDNN fails.
void gemm_onednn(float* y, int64_t ldy, const float* a, int64_t lda, const float* b, int64_t ldb, int64_t m,
                 int64_t n, int64_t k, bool transpose_a, bool transpose_b, float beta);
#endif

}  // namespace dae
