// The loops of elementwise kernels: y = f(x...) with f in float, 16 bytes of each array a thread. Bytes moved
// are all that counts here: one read of every input, one write of the output.
#pragma once
#include "kernels/device.h"

// y may be one of the inputs: a thread loads all that it stores.
template <class F, class T, class... X>
__global__ void __launch_bounds__(256) map_kernel(F f, int64_t n, bool aligned, T* y, const X*... x) {
  constexpr int kSize = Pack<T>::size;
  const int64_t i = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kSize;
  if (aligned && i + kSize <= n) {
    Pack<T> out;
    const auto pack = [&](const Pack<X>&... in) {
#pragma unroll
      for (int e = 0; e < kSize; ++e) out.v[e] = T(f(float(in.v[e])...));
    };
    pack(load16(x + i)...);
    store16(y + i, out);
  } else {
    for (int64_t e = i; e < n && e < i + kSize; ++e) y[e] = T(f(float(x[e])...));
  }
}

inline bool on_16_bytes(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// y[i] = f(x[i]...) for arrays of n elements, all of type T.
template <class F, class T, class... X>
void map(Cuda where, const char* name, int64_t n, F f, T* y, const X*... x) {
  static_assert((std::is_same_v<T, X> && ...));
  const bool aligned = on_16_bytes(y) && (on_16_bytes(x) && ...);
  launch(where, name, map_kernel<F, T, X...>, ceil_div(n, 256 * Pack<T>::size), 256, 0, f, n, aligned, y,
         x...);
}

// Threads along x take the columns of a row, 16 bytes each, so that no index is divided by the row's length.
template <class F, class T, class... X>
__global__ void __launch_bounds__(256)
    map_rows_kernel(F f, int64_t rows, int columns, bool aligned, T* y, const X*... x) {
  constexpr int kSize = Pack<T>::size;
  const int64_t r = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
  const int c = int(blockIdx.y * blockDim.x + threadIdx.x) * kSize;
  if (r >= rows || c >= columns) return;
  const int64_t i = r * columns + c;
  if (aligned) {
    Pack<T> out;
    const auto pack = [&](const Pack<X>&... in) {
#pragma unroll
      for (int e = 0; e < kSize; ++e) out.v[e] = T(f(r, c + e, float(in.v[e])...));
    };
    pack(load16(x + i)...);
    store16(y + i, out);
  } else {
    for (int e = 0; e < kSize && c + e < columns; ++e) y[i + e] = T(f(r, c + e, float(x[i + e])...));
  }
}

// y[r, c] = f(r, c, x[r, c]...) for arrays (rows, columns), all of type T.
template <class F, class T, class... X>
void map_rows(Cuda where, const char* name, int64_t rows, int64_t columns, F f, T* y, const X*... x) {
  static_assert((std::is_same_v<T, X> && ...));
  const bool aligned = columns % Pack<T>::size == 0 && on_16_bytes(y) && (on_16_bytes(x) && ...);
  const int64_t packs = ceil_div(columns, Pack<T>::size);
  unsigned width = 1;
  while (width < packs && width < 256) width *= 2;
  const dim3 block(width, 256 / width);
  launch(where, name, map_rows_kernel<F, T, X...>, Grid(ceil_div(rows, block.y), ceil_div(packs, width)),
         block, 0, f, rows, int(columns), aligned, y, x...);
}
