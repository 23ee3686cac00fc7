// y = op(a) op(b) + beta y on one thread: the inner part of matmul.
// y (m, n), op(a) (m, k), op(b) (k, n), row-major with row strides ldy, lda, ldb; op transposes: with
// transpose_a, a is stored (k, m). beta = 0 never reads y.
#pragma once
#include <cstdint>

// The faster of the two below: oneDNN's in f32 where it is built in and a is not transposed, ours
// otherwise (seen on single shapes only, on a busy machine).
template <class T>
void gemm(T* y, int64_t ldy, const T* a, int64_t lda, const T* b, int64_t ldb, int64_t m, int64_t n,
          int64_t k, bool transpose_a, bool transpose_b, double beta = 0);

// Ours: packed panels and a tile of y in registers (tile.h).
template <class T>
void gemm_tiled(T* y, int64_t ldy, const T* a, int64_t lda, const T* b, int64_t ldb, int64_t m, int64_t n,
                int64_t k, bool transpose_a, bool transpose_b, double beta = 0);

#ifdef DAE_ONEDNN
// oneDNN's, on one thread whatever the caller's number of threads. m, n, k > 0.
void gemm_onednn(float* y, int64_t ldy, const float* a, int64_t lda, const float* b, int64_t ldb, int64_t m,
                 int64_t n, int64_t k, bool transpose_a, bool transpose_b, float beta);
#endif
