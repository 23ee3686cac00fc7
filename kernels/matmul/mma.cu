// Matrix products by tiles of 128 by 128, for any size and transposition (shapes: matmul.h):
//   y[q, i, j] = sum_p op(a)[q, i, p] op(b)[q, p, j] + beta y[q, i, j]
//   bf16, f16   tensor cores of sm_80 (mma_tiles of mma_tile.cuh): every element of a and b is read from global
//               memory n / 128 and m / 128 times, 2 bytes each; 64 FLOPs a byte
//   f32         multiply-adds from registers (fma_tiles): f32 products, no TF32; 32 FLOPs a byte
// If y has few tiles and k is long, as in the gradient of a weight, the sum is cut into parts that fill the
// device. Their f32 results are added in order: 8 more bytes for each element of y and part. Operands whose
// rows are not a multiple of 16 bytes are loaded element by element. An epilogue is applied to the sums
// before they are written, so that y is not read again. Not measured on a GPU yet.
#include "kernels/matmul/mma_tile.cuh"

namespace dae {

namespace {

template <class Y, class T, bool TransposeA, bool TransposeB>
struct Product {
  using Type = T;
  static constexpr Major kAMajor = TransposeA ? Major::mn : Major::k;
  static constexpr Major kBMajor = TransposeB ? Major::k : Major::mn;
  struct Item {
    StoredMatrix<T> a, b;
    Y* y;
    int m, n, begin, end;
    float beta;
    bool aligned;
    const float* bias;
    __device__ Y* row(int r) const { return y + int64_t(r) * n; }
  };
  Y* y;
  const T *a, *b;
  int items, m, n, k, splits, depth;
  float beta;
  bool a_aligned, b_aligned, y_aligned;

  __device__ Item item(int z) const {
    const int64_t q = z / splits;
    const int begin = z % splits * depth;
    const T *of_a = a + q * m * k, *of_b = b + q * k * n;
    return {TransposeA ? StoredMatrix<T>{of_a, k, m, a_aligned} : StoredMatrix<T>{of_a, m, k, a_aligned},
            TransposeB ? StoredMatrix<T>{of_b, n, k, b_aligned} : StoredMatrix<T>{of_b, k, n, b_aligned},
            y + int64_t(z) * m * n,
            m,
            n,
            begin,
            min(k, begin + depth),
            beta,
            y_aligned,
            nullptr};
  }
};

template <bool TransposeA, bool TransposeB, class Y, class T>
void multiply(Cuda where, Y* y, const T* a, const T* b, const MatmulShape& s, Splits splits, float beta) {
  const int64_t size = Pack<T>::size;
  const bool a_aligned = on_16_bytes(a) && (TransposeA ? s.m : s.k) % size == 0;
  const bool b_aligned = on_16_bytes(b) && (TransposeB ? s.k : s.n) % size == 0;
  const bool y_aligned = on_16_bytes(y) && s.n % Pack<Y>::size == 0;
  multiply_tiles(where, "matmul_mma",
                 Product<Y, T, TransposeA, TransposeB>{y, a, b, int(s.batch) * splits.count, int(s.m),
                                                       int(s.n), int(s.k), splits.count, splits.depth, beta,
                                                       a_aligned, b_aligned, y_aligned});
}

template <class Y, class T>
void multiply(Cuda where, Y* y, const T* a, const T* b, const MatmulShape& s, Splits splits, float beta) {
  if (s.transpose_a && s.transpose_b) multiply<true, true>(where, y, a, b, s, splits, beta);
  else if (s.transpose_a) multiply<true, false>(where, y, a, b, s, splits, beta);
  else if (s.transpose_b) multiply<false, true>(where, y, a, b, s, splits, beta);
  else multiply<false, false>(where, y, a, b, s, splits, beta);
}

template <class T>
struct LinearProduct {
  using Type = T;
  static constexpr Major kAMajor = Major::k, kBMajor = Major::k;
  struct Item {
    StoredMatrix<T> a, b;
    int m, n, begin, end;
    Finish<T> finish;
  } only;
  int items, m, n;
  __device__ const Item& item(int) const { return only; }
};

}  // namespace

template <class Y, class T>
void matmul_mma(Cuda where, Y* y, const T* a, const T* b, MatmulShape s, double beta) {
  const Splits splits(s.batch, s.m, s.n, s.k);
  in_splits(where, y, s.m * s.n, splits.count, float(beta),
            [&](auto* to, float keep) { multiply(where, to, a, b, s, splits, keep); });
}

template <class T>
void linear_mma(Cuda where, T* y, const T* x, const T* w, MatmulShape s, const Epilogue<T>& e) {
  const Splits splits(1, s.m, s.n, s.k);
  const Finish<T> finish(y, s.n, e);
  if (splits.count > 1)
    return add_splits(where, s.m * s.n, splits.count, finish,
                      [&](float* parts) { multiply(where, parts, x, w, s, splits, 0); });
  const int m = int(s.m), n = int(s.n), k = int(s.k);
  const bool whole = k % Pack<T>::size == 0;
  multiply_tiles(
      where, "linear_mma",
      LinearProduct<T>{
          {{x, m, k, whole && on_16_bytes(x)}, {w, n, k, whole && on_16_bytes(w)}, m, n, 0, k, finish},
          1,
          m,
          n});
}

#define INSTANTIATE(Y, T) template void matmul_mma(Cuda, Y*, const T*, const T*, MatmulShape, double);
INSTANTIATE(float, float)
INSTANTIATE(float, bf16)
INSTANTIATE(bf16, bf16)
INSTANTIATE(float, f16)
INSTANTIATE(f16, f16)
template void linear_mma(Cuda, float*, const float*, const float*, MatmulShape, const Epilogue<float>&);
template void linear_mma(Cuda, bf16*, const bf16*, const bf16*, MatmulShape, const Epilogue<bf16>&);
template void linear_mma(Cuda, f16*, const f16*, const f16*, MatmulShape, const Epilogue<f16>&);

}  // namespace dae
