// y = op(a) op(b) + beta y, over matrices that are row-major and contiguous.
// y (m, n); op(a) (m, k), stored (k, m) with transpose_a; op(b) (k, n), stored (n, k) with transpose_b.
// beta = 0 never reads y. The batched one has y (batch, m, n) and a, b alike.
#pragma once
#include <cstdint>

#include "kernels/device.h"

template <class T>
void matmul(Cpu, T* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta = 0);
template <class Y, class T>  // Y: T, or float beside bf16 and f16
void matmul(Cuda, Y* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta = 0);

template <class T>
void batched_matmul(Cpu, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b);
template <class T>
void batched_matmul(Cuda, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b);

// The variants of the Cuda half, each by itself for tests and benchmarks; matmul.cu chooses among them.
struct MatmulShape {
  int64_t batch, m, n, k;
  bool transpose_a, transpose_b;
};
template <class Y, class T>
void matmul_naive(Cuda, Y* y, const T* a, const T* b, MatmulShape shape, double beta);
template <class Y, class T>  // tensor cores of sm_80 for bf16 and f16, multiply-adds for f32
void matmul_mma(Cuda, Y* y, const T* a, const T* b, MatmulShape shape, double beta);
template <class Y, class T>  // sm_90a, bf16 and f16, and only if matmul_wgmma_fits
void matmul_wgmma(Cuda, Y* y, const T* a, const T* b, MatmulShape shape, double beta);
template <class T>
bool matmul_wgmma_fits(Cuda, const T* a, const T* b, MatmulShape shape);
