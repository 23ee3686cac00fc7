// The end of a product on CUDA: how a sum becomes an element of y, one by one or in packs of a tile's row.
#pragma once
#include "kernels/activation/formulas.h"
#include "kernels/cuda/map.cuh"
#include "kernels/matmul/variants.h"

namespace dae {

// y[at] = sum + beta y[at]; beta = 0 never reads y.
template <class Y>
struct Blend {
  Y* y;
  float beta;
  __device__ void operator()(int64_t at, float sum) const {
    y[at] = Y(beta == 0 ? sum : sum + beta * float(y[at]));
  }
};

// Applies the formula of Epilogue (matmul.h) to the sums of y (rows, n).
template <class T>
struct Finish {
  Epilogue<T> e;
  T* y;
  int n;
  bool aligned;

  Finish(T* y, int64_t n, const Epilogue<T>& e)
      : e(e),
        y(y),
        n(int(n)),
        aligned(n % Pack<T>::size == 0 && on_16_bytes(y) && on_16_bytes(e.argument) &&
                on_16_bytes(e.residual) && on_16_bytes(e.gate)) {}

  __device__ void operator()(int64_t at, float sum) const {
    const int64_t r = at / n;
    row(r, int(at - r * n), &sum, 1);
  }
  // Finishes row r from column c on: v[0 .. count) are the sums, at most one pack.
  __device__ void row(int64_t r, int c, const float* v, int count) const {
    constexpr int kSize = Pack<T>::size;
    const int64_t at = r * n + c;
    const int size = min(count, n - c);
    const bool whole = aligned && size == kSize;
    Pack<T> argument{}, residual{}, gate{}, out{};
    if (e.residual) residual = load_part(e.residual + at, size, whole);
    if (e.gate) gate = load_part(e.gate + r / e.positions * n + c, size, whole);
#pragma unroll
    for (int i = 0; i < kSize; ++i) {
      if (i >= size) continue;
      const float u = e.bias ? v[i] + e.bias[c + i] : v[i];
      argument.v[i] = T(u);
      float f = activate(e.act, u);
      if (e.gate) f *= float(gate.v[i]);
      out.v[i] = T(e.residual ? float(residual.v[i]) + f : f);
    }
    if (e.argument) store_part(e.argument + at, argument, size, whole);
    store_part(y + at, out, size, whole);
  }
};

}  // namespace dae
