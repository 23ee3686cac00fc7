#include "kernels/matmul/gemm.h"

#include <type_traits>

#include "kernels/cpu/scratch.h"
#include "kernels/matmul/simd_tile.h"

namespace dae {

template <class T>
void gemm_tiled(T* y, int64_t ldy, const T* a, int64_t lda, const T* b, int64_t ldb, int64_t m, int64_t n,
                int64_t k, bool transpose_a, bool transpose_b, double beta) {
  if (k == 0) {
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) y[i * ldy + j] = beta == 0 ? T(0) : T(beta) * y[i * ldy + j];
    return;
  }
  thread_local Scratch<T> scratch_a, scratch_b;
  T* rows = transpose_a ? scratch_a.get(kBlockRows / kRows * row_stride<T>(kDepth)) : nullptr;
  T* panels = scratch_b.get(kDepth * kBlockColumns);
  for (int64_t j0 = 0; j0 < n; j0 += kBlockColumns)
    for (int64_t p0 = 0; p0 < k; p0 += kDepth) {
      const int64_t nj = std::min(kBlockColumns, n - j0), depth = std::min(kDepth, k - p0);
      const T scale_y = p0 == 0 ? T(beta) : T(1);
      const int64_t stride = depth * kColumns<T>;
      if (transpose_b) pack_columns_transposed(panels, stride, b + j0 * ldb + p0, ldb, depth, nj);
      else pack_columns(panels, stride, b + p0 * ldb + j0, ldb, depth, nj);
      for (int64_t i0 = 0; i0 < m; i0 += kBlockRows) {
        const int64_t mi = std::min(kBlockRows, m - i0);
        if (transpose_a) pack_rows(rows, a + p0 * lda + i0, lda, mi, depth);
        for (int64_t j = 0; j < nj; j += kColumns<T>)
          for (int64_t i = 0; i < mi; i += kRows) {
            T* to[kRows];
            const T* from[kRows];
            for (int64_t r = 0; r < kRows; ++r) {
              const int64_t row = std::min(i + r, mi - 1);
              to[r] = y + (i0 + row) * ldy + j0 + j;
              from[r] = transpose_a ? rows + i / kRows * row_stride<T>(depth) + r : a + (i0 + row) * lda + p0;
            }
            const int64_t valid = std::min<int64_t>(kRows, mi - i),
                          columns = std::min<int64_t>(kColumns<T>, nj - j);
            const T* panel = panels + j * depth;
            if (transpose_a) tile<kRows>(to, valid, columns, from, 1, depth, panel, kColumns<T>, scale_y);
            else tile<1>(to, valid, columns, from, 1, depth, panel, kColumns<T>, scale_y);
          }
      }
    }
}

template <class T>
void gemm(T* y, int64_t ldy, const T* a, int64_t lda, const T* b, int64_t ldb, int64_t m, int64_t n,
          int64_t k, bool transpose_a, bool transpose_b, double beta) {
#ifdef DAE_ONEDNN
  if constexpr (std::is_same_v<T, float>)
    if (!transpose_a && m > 0 && n > 0 && k > 0)
      return gemm_onednn(y, ldy, a, lda, b, ldb, m, n, k, transpose_a, transpose_b, static_cast<float>(beta));
#endif
  gemm_tiled(y, ldy, a, lda, b, ldb, m, n, k, transpose_a, transpose_b, beta);
}

#define INSTANTIATE(T)                                                                                   \
  template void gemm(T*, int64_t, const T*, int64_t, const T*, int64_t, int64_t, int64_t, int64_t, bool, \
                     bool, double);                                                                      \
  template void gemm_tiled(T*, int64_t, const T*, int64_t, const T*, int64_t, int64_t, int64_t, int64_t, \
                           bool, bool, double);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
