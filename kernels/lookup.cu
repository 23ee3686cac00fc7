// Rows of a table by index; shapes in lookup.h.
//   gather_rows    a thread takes 16 bytes of a row: 2 n elements moved.
//   scatter_rows   the gradient without atomics: a warp owns an entry of the table and a pack of channels a
//                  lane, and reads all indices, 256 at a time through shared memory, which the block's eight
//                  warps share. It lists its rows in their order, then adds them, four loads under way at
//                  once. The indices are read once for every eight entries, from cache; dy once.
// Bound by memory, unless most rows have the same few entries: those few warps then work alone.
// Not measured on a GPU yet.
#include "kernels/lookup.h"
#include "kernels/map.h"

namespace {

constexpr int kWarps = 8, kTile = 32 * kWarps;

template <class U>
__global__ void __launch_bounds__(256)
    gather_rows(U* y, const U* table, const int64_t* index, int64_t rows, int length) {
  const int64_t r = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
  const int i = int(blockIdx.y * blockDim.x + threadIdx.x);
  if (r < rows && i < length) y[r * length + i] = table[index[r] * length + i];
}

template <class U>
void launch_gather(Cuda where, U* y, const U* table, const int64_t* index, int64_t rows, int64_t length) {
  const dim3 block = row_block(length, 256);
  launch(where, "embedding", gather_rows<U>, Grid(ceil_div(rows, block.y), ceil_div(length, block.x)), block,
         0, y, table, index, rows, int(length));
}

template <class T>
__global__ void __launch_bounds__(kTile)
    scatter_rows(float* dtable, const T* dy, const int64_t* index, int64_t rows, int64_t entries,
                 int channels, bool aligned) {
  constexpr int kSize = Pack<T>::size;
  SHARED(int64_t, tile, kTile);
  SHARED(int, found, kWarps* kTile);
  const int64_t entry = int64_t(blockIdx.x) * kWarps + warp_of_block();
  const int c = int(blockIdx.y * 32 + lane_of_warp()) * kSize, size = max(0, min(kSize, channels - c));
  const int list = warp_of_block() * kTile;
  float sum[kSize] = {};
  for (int64_t begin = 0; begin < rows; begin += kTile) {
    const int64_t r = begin + threadIdx.x;
    __syncthreads();
    tile[int(threadIdx.x)] = r < rows ? index[r] : -1;
    __syncthreads();
    int count = 0;
    for (int first = 0; first < kTile; first += 32) {
      const bool mine = tile[first + lane_of_warp()] == entry;
      const uint32_t all = __ballot_sync(0xffffffffu, mine);
      if (mine) found[list + count + __popc(all & ((1u << lane_of_warp()) - 1))] = first + lane_of_warp();
      count += __popc(all);
    }
    __syncwarp();
    for (int j = 0; j < count; j += 4) {
      Pack<T> in[4];
#pragma unroll
      for (int u = 0; u < 4; ++u) {
        const int64_t row = begin + found[list + min(j + u, count - 1)];
        in[u] = load_part(dy + row * channels + c, size, aligned && size == kSize);
      }
#pragma unroll
      for (int u = 0; u < 4; ++u)
#pragma unroll
        for (int e = 0; e < kSize; ++e) sum[e] += j + u < count ? float(in[u].v[e]) : 0.0f;
    }
  }
  if (entry >= entries) return;
#pragma unroll
  for (int e = 0; e < kSize; ++e)
    if (e < size) dtable[entry * channels + c + e] = sum[e];
}

}  // namespace

template <class T>
void embedding_forward(Cuda where, T* y, const T* table, const int64_t* index, int64_t rows,
                       int64_t channels) {
  constexpr int kSize = Pack<T>::size;
  if (channels % kSize == 0 && on_16_bytes(y) && on_16_bytes(table))
    launch_gather(where, reinterpret_cast<Pack<T>*>(y), reinterpret_cast<const Pack<T>*>(table), index, rows,
                  channels / kSize);
  else launch_gather(where, y, table, index, rows, channels);
}

template <class T>
void embedding_backward(Cuda where, Wide<T>* dtable, const T* dy, const int64_t* index, int64_t rows,
                        int64_t entries, int64_t channels) {
  const bool aligned = channels % Pack<T>::size == 0 && on_16_bytes(dy);
  launch(where, "embedding_backward", scatter_rows<T>,
         Grid(ceil_div(entries, kWarps), ceil_div(channels, 32 * Pack<T>::size)), kTile, 0, dtable, dy, index,
         rows, entries, int(channels), aligned);
}

#define INSTANTIATE(T)                                                                   \
  template void embedding_forward(Cuda, T*, const T*, const int64_t*, int64_t, int64_t); \
  template void embedding_backward(Cuda, Wide<T>*, const T*, const int64_t*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
