// The kernels behind matmul and linear on CUDA, by name, for kernels/variants.h, tests and benchmarks. All
// give the same result up to rounding.
//   naive    one thread for each element of y; any size; the oracle of the others
//   mma      bf16 and f16 on tensor cores of sm_80, f32 by fused multiply-adds; sizes below 2^31
//   wgmma    sm_90a, bf16 and f16; operands that TMA can read
//   cublas   cuBLASLt, the yardstick; built with -DDAE_CUBLAS=ON
#pragma once
#include "kernels/matmul/matmul.h"

namespace dae {

enum class MatmulVariant { naive, mma, wgmma, cublas };
inline constexpr MatmulVariant kMatmulVariants[] = {MatmulVariant::naive, MatmulVariant::mma,
                                                    MatmulVariant::wgmma, MatmulVariant::cublas};
inline const char* name(MatmulVariant v) {
  constexpr const char* kNames[] = {"naive", "mma", "wgmma", "cublas"};
  return kNames[int(v)];
}

struct MatmulShape {
  int64_t batch, m, n, k;
  bool transpose_a, transpose_b;
};

// matmul_takes returns whether a variant can multiply a and b; matmul_by multiplies by that variant.
// linear_by does the same with an epilogue, for the shape of x w^T: batch 1, b transposed.
template <class T>
bool matmul_takes(MatmulVariant variant, Cuda, const T* a, const T* b, const MatmulShape& shape);
template <class Y, class T>
void matmul_by(MatmulVariant variant, Cuda, Y* y, const T* a, const T* b, const MatmulShape& shape,
               double beta);
template <class T>
void linear_by(MatmulVariant variant, Cuda, T* y, const T* x, const T* w, const MatmulShape& shape,
               const Epilogue<T>& epilogue);

template <class Y, class T>
void matmul_naive(Cuda, Y* y, const T* a, const T* b, MatmulShape shape, double beta);
template <class T>
void linear_naive(Cuda, T* y, const T* x, const T* w, MatmulShape shape, const Epilogue<T>& epilogue);
template <class Y, class T>
void matmul_mma(Cuda, Y* y, const T* a, const T* b, MatmulShape shape, double beta);
template <class T>
void linear_mma(Cuda, T* y, const T* x, const T* w, MatmulShape shape, const Epilogue<T>& epilogue);
template <class T>
bool matmul_wgmma_fits(Cuda, const T* a, const T* b, MatmulShape shape);
template <class Y, class T>
void matmul_wgmma(Cuda, Y* y, const T* a, const T* b, MatmulShape shape, double beta);
template <class T>
void linear_wgmma(Cuda, T* y, const T* x, const T* w, MatmulShape shape, const Epilogue<T>& epilogue);
template <class Y, class T>
void matmul_cublas(Cuda, Y* y, const T* a, const T* b, MatmulShape shape, double beta);
template <class T>
void linear_cublas(Cuda, T* y, const T* x, const T* w, MatmulShape shape, const Epilogue<T>& epilogue);

}  // namespace dae
