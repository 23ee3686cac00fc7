// Copies and permutations of elements (shapes: shape.h).
//   copy            rows of one length at two strides: concat, split, slice
//   permute_rows    if the last dimension stays last: rows are copied whole, threads run along them
//   permute_tiles   otherwise: tiles of 32 x 32 go through shared memory, so that reads run along x's last
//                   dimension and writes along y's
// Rows go in units of 16 bytes if sizes and addresses allow it. Dimensions that stay neighbours are merged
// first. Limited by memory: each element is read once and written once. Not measured on a GPU yet.
#include "kernels/cuda/map.cuh"
#include "kernels/shape/shape.h"

namespace dae {

namespace {

constexpr int kMost = 8;  // the most dimensions

struct Axes {  // outermost first; `from` and `to` are the strides in x and in y
  int rank = 0;
  int64_t size[kMost] = {}, from[kMost] = {}, to[kMost] = {};
};
struct Offsets {
  int64_t from, to;
};
__device__ inline Offsets offsets(const Axes& axes, int64_t index) {
  Offsets o{0, 0};
#pragma unroll
  for (int i = kMost - 1; i >= 0; --i) {
    if (i >= axes.rank) continue;
    const int64_t at = index % axes.size[i];
    index /= axes.size[i];
    o.from += at * axes.from[i];
    o.to += at * axes.to[i];
  }
  return o;
}

// `across` neighbouring blocks share the rows r of one group.
template <class U>
__global__ void __launch_bounds__(256)
    copy_kernel(U* y, int64_t to, const U* x, int64_t from, int64_t rows, int64_t length, int64_t across) {
  const int64_t r = blockIdx.x / across * blockDim.y + threadIdx.y;
  const int64_t i = blockIdx.x % across * blockDim.x + threadIdx.x;
  if (r < rows && i < length) y[r * to + i] = x[r * from + i];
}

template <class U>
__global__ void __launch_bounds__(256)
    permute_rows(U* y, const U* x, Axes axes, int64_t rows, int64_t length, int64_t across) {
  const int64_t r = blockIdx.x / across * blockDim.y + threadIdx.y;
  const int64_t i = blockIdx.x % across * blockDim.x + threadIdx.x;
  if (r >= rows || i >= length) return;
  const Offsets o = offsets(axes, r);
  y[o.to + i] = x[o.from + i];
}

struct Transposed {  // y[k * to + j] = x[j * from + k] for j < rows, k < columns
  int64_t rows, columns, from, to;
};

constexpr int kTile = 32, kTileRows = 8;

template <class T>
__global__ void __launch_bounds__(kTile* kTileRows)
    permute_tiles(T* y, const T* x, Axes axes, Transposed t, int64_t down, int64_t across) {
  SHARED(T, tile, kTile * (kTile + 1));
  const int64_t j = blockIdx.x / across % down * kTile, k = blockIdx.x % across * kTile;
  const Offsets o = offsets(axes, blockIdx.x / across / down);
  const int tx = int(threadIdx.x), ty = int(threadIdx.y);
  for (int i = ty; i < kTile; i += kTileRows)
    if (j + i < t.rows && k + tx < t.columns)
      tile[i * (kTile + 1) + tx] = x[o.from + (j + i) * t.from + k + tx];
  __syncthreads();
  for (int i = ty; i < kTile; i += kTileRows)
    if (k + i < t.columns && j + tx < t.rows) y[o.to + (k + i) * t.to + j + tx] = tile[tx * (kTile + 1) + i];
}

template <class U>
void launch_copy(Cuda where, U* y, int64_t to, const U* x, int64_t from, int64_t rows, int64_t length) {
  const dim3 block = row_block(length, 256);
  const int64_t across = ceil_div(length, block.x);
  launch(where, "copy_axis", copy_kernel<U>, ceil_div(rows, block.y) * across, block, 0, y, to, x, from, rows,
         length, across);
}

template <class U>
void launch_rows(Cuda where, U* y, const U* x, const Axes& axes, int64_t rows, int64_t length) {
  const dim3 block = row_block(length, 256);
  const int64_t across = ceil_div(length, block.x);
  launch(where, "permute", permute_rows<U>, ceil_div(rows, block.y) * across, block, 0, y, x, axes, rows,
         length, across);
}

template <class T>
Pack<T>* packs(T* p) {
  return reinterpret_cast<Pack<T>*>(p);
}
template <class T>
const Pack<T>* packs(const T* p) {
  return reinterpret_cast<const Pack<T>*>(p);
}

// Returns x's dimensions in y's order. Those of one element are left out, and those that stay neighbours are
// merged.
Axes merged(const int64_t* dims, const int* order, int rank) {
  int64_t stride[kMost];
  for (int64_t i = rank - 1, total = 1; i >= 0; --i) stride[i] = total, total *= dims[i];
  Axes axes;
  for (int i = 0; i < rank; ++i) {
    const int64_t size = dims[order[i]], from = stride[order[i]];
    const int last = axes.rank - 1;
    if (size == 1) continue;
    if (last >= 0 && axes.from[last] == size * from) axes.size[last] *= size, axes.from[last] = from;
    else axes.size[axes.rank] = size, axes.from[axes.rank++] = from;
  }
  for (int64_t i = axes.rank - 1, total = 1; i >= 0; --i) axes.to[i] = total, total *= axes.size[i];
  return axes;
}

void remove(Axes& axes, int which) {
  --axes.rank;
  for (int i = which; i < axes.rank; ++i)
    axes.size[i] = axes.size[i + 1], axes.from[i] = axes.from[i + 1], axes.to[i] = axes.to[i + 1];
}

}  // namespace

template <class T>
void copy_axis(Cuda where, T* y, int64_t to, int64_t y_begin, const T* x, int64_t from, int64_t x_begin,
               int64_t count, int64_t outer, int64_t inner) {
  constexpr int kSize = Pack<T>::size;
  y += y_begin * inner, x += x_begin * inner;
  to *= inner, from *= inner;
  const int64_t length = count * inner;
  if (length % kSize == 0 && to % kSize == 0 && from % kSize == 0 && on_16_bytes(y) && on_16_bytes(x))
    launch_copy(where, packs(y), to / kSize, packs(x), from / kSize, outer, length / kSize);
  else launch_copy(where, y, to, x, from, outer, length);
}

template <class T>
void permute(Cuda where, T* y, const T* x, const int64_t* dims, const int* order, int rank) {
  constexpr int kSize = Pack<T>::size;
  int64_t total = 1;
  for (int i = 0; i < rank; ++i) total *= dims[i];
  if (total == 0) return;
  Axes axes = merged(dims, order, rank);
  if (axes.rank == 0) return launch_copy(where, y, 1, x, 1, 1, 1);
  const int last = axes.rank - 1;
  const int64_t length = axes.size[last];
  if (axes.from[last] == 1) {
    remove(axes, last);
    if (length % kSize == 0 && on_16_bytes(y) && on_16_bytes(x)) {
      for (int i = 0; i < axes.rank; ++i) axes.from[i] /= kSize, axes.to[i] /= kSize;
      launch_rows(where, packs(y), packs(x), axes, total / length, length / kSize);
    } else {
      launch_rows(where, y, x, axes, total / length, length);
    }
    return;
  }
  int contiguous = 0;  // where x's last dimension is in y's order
  while (axes.from[contiguous] != 1) ++contiguous;
  const Transposed t{length, axes.size[contiguous], axes.from[last], axes.to[contiguous]};
  remove(axes, last);
  remove(axes, contiguous);
  const int64_t down = ceil_div(t.rows, kTile), across = ceil_div(t.columns, kTile);
  launch(where, "permute", permute_tiles<T>, total / (t.rows * t.columns) * down * across,
         dim3(kTile, kTileRows), 0, y, x, axes, t, down, across);
}

#define INSTANTIATE(T)                                                                              \
  template void copy_axis(Cuda, T*, int64_t, int64_t, const T*, int64_t, int64_t, int64_t, int64_t, \
                          int64_t);                                                                 \
  template void permute(Cuda, T*, const T*, const int64_t*, const int*, int);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
