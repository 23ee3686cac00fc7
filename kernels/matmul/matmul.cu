// Which variant multiplies, by what the hardware and the instructions can do:
//   wgmma   bf16 and f16 on Hopper, where TMA can read the operands
//   mma     everything else
//   naive   sizes that do not fit the 32 bits in which the others count
// Not measured on a GPU yet.
#include <algorithm>

#include "kernels/activate.h"
#include "kernels/matmul/matmul.h"
#include "kernels/sums.h"

namespace {

enum class Variant { naive, mma, wgmma };

template <class T>
Variant variant_for(Cuda where, const T* a, const T* b, const MatmulShape& s) {
  constexpr int64_t kMost = 0x7fffff00, kMostItems = 65535;  // z of a grid
  if (std::max({s.m, s.n, s.k}) > kMost || s.batch > kMostItems) return Variant::naive;
  if constexpr (!std::is_same_v<T, float>)
    if (matmul_wgmma_fits(where, a, b, s)) return Variant::wgmma;
  return Variant::mma;
}

template <class Y, class T>
void multiply(Cuda where, Y* y, const T* a, const T* b, const MatmulShape& s, double beta) {
  const Variant variant = variant_for(where, a, b, s);
  if (variant == Variant::naive) return matmul_naive(where, y, a, b, s, beta);
  if constexpr (!std::is_same_v<T, float>)
    if (variant == Variant::wgmma) return matmul_wgmma(where, y, a, b, s, beta);
  matmul_mma(where, y, a, b, s, beta);
}

// The slope's product, and its sums down the columns.
struct ActBackward {
  Act act;
  struct Column {
    Act act;
    __device__ float value(float dy, float kept) const { return dy * slope_at(act, kept); }
    __device__ Sums<1> sums(int64_t, float dy, float kept) const { return {{value(dy, kept)}}; }
  };
  __device__ Column at(int64_t, int) const { return {act}; }
};

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

template <class T>
void linear_forward(Cuda where, T* y, const T* x, const T* w, int64_t rows, int64_t out, int64_t in,
                    const Epilogue<T>& e) {
  const MatmulShape s{1, rows, out, in, false, true};
  const Variant variant = variant_for(where, x, w, s);
  if (variant == Variant::naive) return linear_naive(where, y, x, w, s, e);
  if constexpr (!std::is_same_v<T, float>)
    if (variant == Variant::wgmma) return linear_wgmma(where, y, x, w, s, e);
  linear_mma(where, y, x, w, s, e);
}

template <class T>
void linear_act_backward(Cuda where, T* du, Wide<T>* dbias, const T* dy, const T* kept, int64_t rows,
                         int64_t out, Act act) {
  const ColumnTiles t = sum_tiles<T>(1, rows, out);
  float* parts = static_cast<float*>(workspace(where, size_t(t.chunks * out) * sizeof(float)));
  map_column_sums<1>(where, "linear_act_backward", t, 1, rows, out, ActBackward{act}, du, parts, dy, kept);
  if (dbias)
    sum_parts<1>(where, "linear_act_backward", parts, t.chunks, out,
                 [=] __device__(int c, const Sums<1>& sum) { dbias[c] = sum.v[0]; });
}

#define INSTANTIATE(Y, T) \
  template void matmul(Cuda, Y*, const T*, const T*, int64_t, int64_t, int64_t, bool, bool, double);
#define INSTANTIATE_TYPE(T)                                                                                  \
  template void linear_forward(Cuda, T*, const T*, const T*, int64_t, int64_t, int64_t, const Epilogue<T>&); \
  template void linear_act_backward(Cuda, T*, Wide<T>*, const T*, const T*, int64_t, int64_t, Act);          \
  template void batched_matmul(Cuda, T*, const T*, const T*, int64_t, int64_t, int64_t, int64_t, bool, bool);
INSTANTIATE(float, float)
INSTANTIATE(float, bf16)
INSTANTIATE(bf16, bf16)
INSTANTIATE(float, f16)
INSTANTIATE(f16, f16)
INSTANTIATE_TYPE(float)
INSTANTIATE_TYPE(bf16)
INSTANTIATE_TYPE(f16)
