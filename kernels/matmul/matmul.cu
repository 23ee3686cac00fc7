// The CUDA functions of matmul.h: each runs the variant that kernels/variants.h chooses, or one given by the
// caller.
#include <algorithm>

#include "kernels/activation/formulas.h"
#include "kernels/cuda/ordered_sums.cuh"
#include "kernels/variants.h"

namespace dae {

namespace {

#ifdef DAE_CUBLAS
constexpr bool kCublas = true;
#else
constexpr bool kCublas = false;
#endif

template <class T>
MatmulVariant chosen(Cuda where, const T* a, const T* b, const MatmulShape& s) {
  return choose(defaults::kMatmul, s, [&](MatmulVariant v) { return matmul_takes(v, where, a, b, s); });
}

// Computes du = dy act'(u), and its sums down the columns.
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

template <class T>
bool matmul_takes(MatmulVariant variant, Cuda where, const T* a, const T* b, const MatmulShape& s) {
  constexpr int64_t kMost = 0x7fffff00, kMostItems = 65535;  // kMostItems: the limit of a grid's z
  if (variant == MatmulVariant::naive) return true;
  if (std::max({s.m, s.n, s.k}) > kMost || s.batch > kMostItems) return false;
  if (variant == MatmulVariant::mma) return true;
  if (variant == MatmulVariant::cublas) return kCublas && std::min({s.batch, s.m, s.n, s.k}) > 0;
  if constexpr (!std::is_same_v<T, float>) return matmul_wgmma_fits(where, a, b, s);
  return false;
}

template <class Y, class T>
void matmul_by(MatmulVariant variant, Cuda where, Y* y, const T* a, const T* b, const MatmulShape& s,
               double beta) {
  if constexpr (kCublas)
    if (variant == MatmulVariant::cublas) return matmul_cublas(where, y, a, b, s, beta);
  if constexpr (!std::is_same_v<T, float>)
    if (variant == MatmulVariant::wgmma) return matmul_wgmma(where, y, a, b, s, beta);
  (variant == MatmulVariant::naive ? matmul_naive<Y, T> : matmul_mma<Y, T>)(where, y, a, b, s, beta);
}
template <class T>
void linear_by(MatmulVariant variant, Cuda where, T* y, const T* x, const T* w, const MatmulShape& s,
               const Epilogue<T>& e) {
  if constexpr (kCublas)
    if (variant == MatmulVariant::cublas) return linear_cublas(where, y, x, w, s, e);
  if constexpr (!std::is_same_v<T, float>)
    if (variant == MatmulVariant::wgmma) return linear_wgmma(where, y, x, w, s, e);
  (variant == MatmulVariant::naive ? linear_naive<T> : linear_mma<T>)(where, y, x, w, s, e);
}

template <class Y, class T>
void matmul(Cuda where, Y* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta) {
  const MatmulShape s{1, m, n, k, transpose_a, transpose_b};
  matmul_by(chosen(where, a, b, s), where, y, a, b, s, beta);
}

template <class T>
void batched_matmul(Cuda where, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b) {
  const MatmulShape s{batch, m, n, k, transpose_a, transpose_b};
  matmul_by(chosen(where, a, b, s), where, y, a, b, s, 0);
}

template <class T>
void linear_forward(Cuda where, T* y, const T* x, const T* w, int64_t rows, int64_t out, int64_t in,
                    const Epilogue<T>& e) {
  const MatmulShape s{1, rows, out, in, false, true};
  linear_by(chosen(where, x, w, s), where, y, x, w, s, e);
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

#define INSTANTIATE(Y, T)                                                                            \
  template void matmul(Cuda, Y*, const T*, const T*, int64_t, int64_t, int64_t, bool, bool, double); \
  template void matmul_by(MatmulVariant, Cuda, Y*, const T*, const T*, const MatmulShape&, double);
#define INSTANTIATE_TYPE(T)                                                                                  \
  template bool matmul_takes(MatmulVariant, Cuda, const T*, const T*, const MatmulShape&);                   \
  template void linear_by(MatmulVariant, Cuda, T*, const T*, const T*, const MatmulShape&,                   \
                          const Epilogue<T>&);                                                               \
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

}  // namespace dae
