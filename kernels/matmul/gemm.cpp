#include "kernels/matmul/gemm.h"

#include <algorithm>
#include <type_traits>

#include "kernels/parallel.h"
#include "kernels/scratch.h"
#ifdef __FMA__
#include <immintrin.h>
#endif

namespace {

// The tile of y kept in registers: kRows x two vectors, as many as the instruction set has registers for.
#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kRows = 12;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32, kRows = 6;
#else
constexpr int kVectorBytes = 16, kRows = 4;
#endif

template <class T>
struct Vector;
template <>
struct Vector<float> {
  using Type = float __attribute__((vector_size(kVectorBytes)));
};
template <>
struct Vector<double> {
  using Type = double __attribute__((vector_size(kVectorBytes)));
};
using Floats = Vector<float>::Type;
using Doubles = Vector<double>::Type;

#if defined(__AVX512F__)
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Doubles fma(Doubles a, Doubles b, Doubles c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined(__FMA__)
inline Floats fma(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
inline Doubles fma(Doubles a, Doubles b, Doubles c) { return _mm256_fmadd_pd(a, b, c); }
#else
inline Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
inline Doubles fma(Doubles a, Doubles b, Doubles c) { return a * b + c; }
#endif

template <class T>
constexpr int kColumns = 2 * kVectorBytes / sizeof(T);

// Depth of a packed panel, rows of a packed block of a, columns of a packed block of b: a tile's panel of b
// stays in the first-level cache, the block of a in the second.
constexpr int64_t kDepth = 256, kBlockRows = 20 * kRows, kBlockColumns = 2048;

// Panels of `width` rows of op(x) (rows, depth), each stored depth-major and filled up with zeros. Element
// (i, p) of op(x) is x[i * row_stride + p * depth_stride].
template <int width, class T>
void pack(T* panels, const T* x, int64_t row_stride, int64_t depth_stride, int64_t rows, int64_t depth) {
  for (int64_t i0 = 0; i0 < rows; i0 += width, panels += width * depth) {
    const int64_t w = std::min<int64_t>(width, rows - i0);
    const T* from = x + i0 * row_stride;
    if (w < width) std::fill(panels, panels + width * depth, T(0));
    if (row_stride == 1 && w == width) {
      for (int64_t p = 0; p < depth; ++p)
        for (int i = 0; i < width; ++i) panels[p * width + i] = from[p * depth_stride + i];
    } else {
      for (int64_t i = 0; i < w; ++i)
        for (int64_t p = 0; p < depth; ++p) panels[p * width + i] = from[i * row_stride + p * depth_stride];
    }
  }
}

// y tile (rows, columns) = a panel (depth, kRows)^T b panel (depth, kColumns) + beta y.
template <class T>
void tile(T* y, int64_t ldy, const T* a, const T* b, int64_t depth, int64_t rows, int64_t columns, T beta) {
  using V = typename Vector<T>::Type;
  constexpr int lanes = kVectorBytes / sizeof(T);
  V sum[kRows][2] = {};
  for (int64_t p = 0; p < depth; ++p, a += kRows, b += 2 * lanes) {
    const V b0 = *reinterpret_cast<const V*>(b), b1 = *reinterpret_cast<const V*>(b + lanes);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const V ai = V{} + a[i];
      sum[i][0] = fma(ai, b0, sum[i][0]);
      sum[i][1] = fma(ai, b1, sum[i][1]);
    }
  }
  alignas(kVectorBytes) T out[kRows][2 * lanes];
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
    *reinterpret_cast<V*>(out[i]) = sum[i][0];
    *reinterpret_cast<V*>(out[i] + lanes) = sum[i][1];
  }
  for (int64_t i = 0; i < rows; ++i) {
    T* row = y + i * ldy;
    if (beta == T(0))
      for (int64_t j = 0; j < columns; ++j) row[j] = out[i][j];
    else
      for (int64_t j = 0; j < columns; ++j) row[j] = beta * row[j] + out[i][j];
  }
}

template <class T>
void scale(T* y, int64_t ldy, int64_t m, int64_t n, T beta) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) y[i * ldy + j] = beta == T(0) ? T(0) : beta * y[i * ldy + j];
}

}  // namespace

template <class T>
void gemm_plain(T* y, int64_t ldy, const T* a, int64_t lda, const T* b, int64_t ldb, int64_t m, int64_t n,
                int64_t k, bool transpose_a, bool transpose_b, double beta) {
  if (k == 0) return scale(y, ldy, m, n, static_cast<T>(beta));
  thread_local Scratch<T> scratch_a, scratch_b;
  const int64_t a_row = transpose_a ? 1 : lda, a_depth = transpose_a ? lda : 1;
  const int64_t b_column = transpose_b ? ldb : 1, b_depth = transpose_b ? 1 : ldb;
  constexpr int64_t columns = kColumns<T>;
  T* panels_a = scratch_a.get(kBlockRows * kDepth);
  T* panels_b = scratch_b.get(kBlockColumns * kDepth);
  for (int64_t j0 = 0; j0 < n; j0 += kBlockColumns)
    for (int64_t p0 = 0; p0 < k; p0 += kDepth) {
      const int64_t nj = std::min(kBlockColumns, n - j0), depth = std::min(kDepth, k - p0);
      const T scale_y = p0 == 0 ? static_cast<T>(beta) : T(1);
      pack<columns>(panels_b, b + j0 * b_column + p0 * b_depth, b_column, b_depth, nj, depth);
      for (int64_t i0 = 0; i0 < m; i0 += kBlockRows) {
        const int64_t mi = std::min(kBlockRows, m - i0);
        pack<kRows>(panels_a, a + i0 * a_row + p0 * a_depth, a_row, a_depth, mi, depth);
        for (int64_t j = 0; j < nj; j += columns)
          for (int64_t i = 0; i < mi; i += kRows)
            tile(y + (i0 + i) * ldy + j0 + j, ldy, panels_a + i * depth, panels_b + j * depth, depth,
                 std::min<int64_t>(kRows, mi - i), std::min(columns, nj - j), scale_y);
      }
    }
}

template <class T>
void gemm(T* y, int64_t ldy, const T* a, int64_t lda, const T* b, int64_t ldb, int64_t m, int64_t n,
          int64_t k, bool transpose_a, bool transpose_b, double beta) {
#ifdef DAE_ONEDNN
  if constexpr (std::is_same_v<T, float>)
    if (m > 0 && n > 0 && k > 0)
      return gemm_onednn(y, ldy, a, lda, b, ldb, m, n, k, transpose_a, transpose_b, static_cast<float>(beta));
#endif
  gemm_plain(y, ldy, a, lda, b, ldb, m, n, k, transpose_a, transpose_b, beta);
}

template <class T>
void transpose(T* out, const T* x, int64_t rows, int64_t columns) {
  constexpr int64_t kSide = 16;
  const int64_t down = (rows + kSide - 1) / kSide, across = (columns + kSide - 1) / kSide;
  parallel_for(down * across, 64, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t i0 = block / across * kSide, j0 = block % across * kSide;
      const int64_t h = std::min(kSide, rows - i0), w = std::min(kSide, columns - j0);
      const T* from = x + i0 * columns + j0;
      T* to = out + j0 * rows + i0;
      if (h == kSide && w == kSide) {
        T tile[kSide][kSide];  // rows a power of two apart share cache sets: touch each of them once
        for (int64_t i = 0; i < kSide; ++i)
          for (int64_t j = 0; j < kSide; ++j) tile[i][j] = from[i * columns + j];
        for (int64_t j = 0; j < kSide; ++j)
          for (int64_t i = 0; i < kSide; ++i) to[j * rows + i] = tile[i][j];
      } else {
        for (int64_t j = 0; j < w; ++j)
          for (int64_t i = 0; i < h; ++i) to[j * rows + i] = from[i * columns + j];
      }
    }
  });
}

#define INSTANTIATE(T)                                                                                   \
  template void gemm(T*, int64_t, const T*, int64_t, const T*, int64_t, int64_t, int64_t, int64_t, bool, \
                     bool, double);                                                                      \
  template void gemm_plain(T*, int64_t, const T*, int64_t, const T*, int64_t, int64_t, int64_t, int64_t, \
                           bool, bool, double);                                                          \
  template void transpose(T*, const T*, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)
