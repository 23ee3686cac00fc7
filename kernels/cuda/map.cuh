// The loops of elementwise CUDA kernels: y = f(x...), where f computes in float. Each thread handles 16 bytes
// of each array, because the kernels are bound by memory. They read every input once and write the output
// once.
//   map           y[i] = f(x[i]...)                       arrays (n)
//   map_rows      y[r, c] = f(r, c, x[r, c]...)           arrays (rows, columns)
//   map_columns   y[n, p, c] = f.at(n, c)(x[n, p, c]...)  arrays (images, positions, channels)
#pragma once
#include "kernels/device/device.h"

namespace dae {

// y may be one of the inputs, because each thread loads its elements before it stores them.
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

// Writes y[i] = f(x[i]...) for arrays of n elements, all of type T.
template <class F, class T, class... X>
void map(Cuda where, const char* name, int64_t n, F f, T* y, const X*... x) {
  static_assert((std::is_same_v<T, X> && ...));
  const bool aligned = on_16_bytes(y) && (on_16_bytes(x) && ...);
  launch(where, name, map_kernel<F, T, X...>, ceil_div(n, 256 * Pack<T>::size), 256, 0, f, n, aligned, y,
         x...);
}

// Returns a block of 256 threads. Its width is the smallest power of two that covers `packs`, the number of
// 16-byte packs of a row, but at most `most`.
inline dim3 row_block(int64_t packs, unsigned most) {
  unsigned width = 1;
  while (width < packs && width < most) width *= 2;
  return dim3(width, 256 / width);
}

// The threads along x take the columns of a row, 16 bytes each, so that no index is divided by the row's
// length.
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

// Writes y[r, c] = f(r, c, x[r, c]...) for arrays (rows, columns), all of type T.
template <class F, class T, class... X>
void map_rows(Cuda where, const char* name, int64_t rows, int64_t columns, F f, T* y, const X*... x) {
  static_assert((std::is_same_v<T, X> && ...));
  const bool aligned = columns % Pack<T>::size == 0 && on_16_bytes(y) && (on_16_bytes(x) && ...);
  const int64_t packs = ceil_div(columns, Pack<T>::size);
  const dim3 block = row_block(packs, 256);
  launch(where, name, map_rows_kernel<F, T, X...>, Grid(ceil_div(rows, block.y), ceil_div(packs, block.x)),
         block, 0, f, rows, int(columns), aligned, y, x...);
}

// ---- arrays (images, positions, channels), with constants for each channel of an image -------------------

// Returns the first `size` elements at p, followed by zeros. If `aligned` is true, p lies on a 16-byte
// boundary and one load reads the whole pack. store_part stores the first `size` elements in the same way.
template <class T>
__device__ inline Pack<T> load_part(const T* p, int size, bool aligned) {
  if (aligned) return load16(p);
  Pack<T> in;
#pragma unroll
  for (int e = 0; e < Pack<T>::size; ++e) in.v[e] = e < size ? p[e] : T(0.0f);
  return in;
}
template <class T>
__device__ inline void store_part(T* p, const Pack<T>& out, int size, bool aligned) {
  if (aligned) return store16(p, out);
#pragma unroll
  for (int e = 0; e < Pack<T>::size; ++e)
    if (e < size) p[e] = out.v[e];
}

// How blocks divide an array (images, positions, channels). A block handles `chunk` positions of one image
// and up to 32 packs of channels. Each thread keeps the constants of its pack, along x, in registers, and
// handles every blockDim.y-th position. The tiles depend on the shape only.
struct ColumnTiles {
  dim3 block;
  int64_t chunk, chunks;  // the positions of a block; the chunks of an image
  int64_t across;         // the number of blocks along the channels
};
// Returns tiles where a thread handles `each` positions, or more if there would be more than `most` chunks.
inline ColumnTiles column_tiles(int64_t images, int64_t positions, int64_t packs, int each, int64_t most) {
  ColumnTiles t{row_block(packs, 32), 0, 0, 0};
  t.chunk = t.block.y * each;
  if (images * ceil_div(positions, t.chunk) > most)
    t.chunk = ceil_div(positions, most / images > 1 ? most / images : 1);
  t.chunks = ceil_div(positions, t.chunk);
  t.across = ceil_div(packs, t.block.x);
  return t;
}

template <class F, class T, class... X>
__global__ void __launch_bounds__(256)
    map_columns_kernel(F f, int64_t positions, int64_t chunk, int64_t chunks, int channels, bool aligned,
                       T* y, const X*... x) {
  constexpr int kSize = Pack<T>::size;
  const int c = int(blockIdx.y * blockDim.x + threadIdx.x) * kSize, size = min(kSize, channels - c);
  if (size <= 0) return;
  const int64_t image = blockIdx.x / chunks, begin = blockIdx.x % chunks * chunk;
  const int64_t end = min(positions, begin + chunk);
  decltype(f.at(image, c)) column[kSize];
#pragma unroll
  for (int e = 0; e < kSize; ++e) column[e] = f.at(image, min(c + e, channels - 1));
  for (int64_t p = begin + threadIdx.y; p < end; p += blockDim.y) {
    const int64_t i = (image * positions + p) * channels + c;
    Pack<T> out;
    const auto pack = [&](const Pack<X>&... in) {
#pragma unroll
      for (int e = 0; e < kSize; ++e) out.v[e] = T(column[e](float(in.v[e])...));
    };
    pack(load_part(x + i, size, aligned)...);
    store_part(y + i, out, size, aligned);
  }
}

// Writes y[n, p, c] = f.at(n, c)(x[n, p, c]...) for arrays of type T. f.at(n, c) returns a functor with the
// constants that all positions of a channel share.
template <class F, class T, class... X>
void map_columns(Cuda where, const char* name, int64_t images, int64_t positions, int64_t channels, F f, T* y,
                 const X*... x) {
  static_assert((std::is_same_v<T, X> && ...));
  const bool aligned = channels % Pack<T>::size == 0 && on_16_bytes(y) && (on_16_bytes(x) && ...);
  const ColumnTiles t =
      column_tiles(images, positions, ceil_div(channels, Pack<T>::size), 8, int64_t{1} << 30);
  launch(where, name, map_columns_kernel<F, T, X...>, Grid(images * t.chunks, t.across), t.block, 0, f,
         positions, t.chunk, t.chunks, int(channels), aligned, y, x...);
}

}  // namespace dae
