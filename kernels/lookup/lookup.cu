// Rows of a table by index (shapes: lookup.h).
//   gather_rows    A thread copies 16 bytes of a row; 2 n elements moved. An index outside the table is
//                  reported (gpu.h) and gives zeros.
//   scatter_rows   The gradient, without atomics. A block owns eight entries of the table, and a lane owns a
//                  pack of channels. Each warp takes every eighth group of 32 rows and adds up all eight
//                  entries over them, with two loads in flight. Then the sums of the warps are added in
//                  order. The work is cut by rows, so that all warps have some, even if few entries occur. If
//                  the table is too small to fill the device, chunks of rows go to blocks of their own, and
//                  their sums are added in order too. The indices are read once for every eight entries, from
//                  cache; dy is read once.
// Limited by memory. Not measured on a GPU yet.
#include <algorithm>

#include "kernels/cuda/ordered_sums.cuh"
#include "kernels/device/gpu.h"
#include "kernels/lookup/lookup.h"

namespace dae {

namespace {

constexpr int kWarps = 8, kEntries = 8, kThreads = 32 * kWarps;

template <class U>
__global__ void __launch_bounds__(256)
    gather_rows(U* y, const U* table, const int64_t* index, int64_t rows, int64_t entries, int length,
                WrongIndex* wrong, const char* op) {
  const int64_t r = int64_t(blockIdx.x) * blockDim.y + threadIdx.y;
  const int i = int(blockIdx.y * blockDim.x + threadIdx.x);
  if (r >= rows || i >= length) return;
  const int64_t entry = index[r];
  if (entry >= 0 && entry < entries) {
    y[r * length + i] = table[entry * length + i];
  } else {
    y[r * length + i] = U{};
    if (i == 0) *wrong = {op, entry, entries};
  }
}

template <class U>
void launch_gather(Cuda where, U* y, const U* table, const int64_t* index, int64_t rows, int64_t entries,
                   int64_t length) {
  const dim3 block = row_block(length, 256);
  launch(where, "embedding", gather_rows<U>, Grid(ceil_div(rows, block.y), ceil_div(length, block.x)), block,
         0, y, table, index, rows, entries, int(length), wrong_index(), "embedding");
}

// Writes parts (chunks, entries, channels), the sums over the rows of each chunk.
template <class T>
__global__ void __launch_bounds__(kThreads)
    scatter_rows(float* parts, const T* dy, const int64_t* index, int64_t rows, int64_t chunk,
                 int64_t entries, int channels, bool aligned) {
  constexpr int kSize = Pack<T>::size, kAcross = 32 * kSize;
  SHARED(float, of_warp, kWarps* kAcross);
  const int64_t first = int64_t(blockIdx.x) * kEntries, end = min(rows, (blockIdx.z + 1) * chunk);
  const int lane = lane_of_warp(), begin_c = int(blockIdx.y) * kAcross, c = begin_c + lane * kSize;
  const int size = max(0, min(kSize, channels - c));
  const auto load = [&](int64_t r) {
    return load_part(dy + r * channels + c, size, aligned && size == kSize);
  };
  float sum[kEntries][kSize] = {};
  for (int64_t base = blockIdx.z * chunk + warp_of_block() * 32; base < end; base += kThreads) {
    const int64_t mine = base + lane < end ? index[base + lane] - first : -1;
#pragma unroll
    for (int entry = 0; entry < kEntries; ++entry) {
      uint32_t hits = __ballot_sync(0xffffffffu, mine == entry);
      while (hits) {
        const int64_t one = base + __ffs(hits) - 1;
        hits &= hits - 1;
        const bool two = hits != 0;
        const int64_t other = two ? base + __ffs(hits) - 1 : one;
        hits &= hits - 1;
        const Pack<T> a = load(one), b = load(other);
#pragma unroll
        for (int e = 0; e < kSize; ++e) {
          sum[entry][e] += float(a.v[e]);
          sum[entry][e] += two ? float(b.v[e]) : 0.0f;
        }
      }
    }
  }
#pragma unroll
  for (int entry = 0; entry < kEntries; ++entry) {
    __syncthreads();
#pragma unroll
    for (int e = 0; e < kSize; ++e) of_warp[warp_of_block() * kAcross + lane * kSize + e] = sum[entry][e];
    __syncthreads();
    const int t = int(threadIdx.x);
    if (t >= kAcross || begin_c + t >= channels || first + entry >= entries) continue;
    float total = 0;
    for (int w = 0; w < kWarps; ++w) total += of_warp[w * kAcross + t];
    parts[(blockIdx.z * entries + first + entry) * channels + begin_c + t] = total;
  }
}

}  // namespace

template <class T>
void embedding_forward(Cuda where, T* y, const T* table, const int64_t* index, int64_t rows, int64_t entries,
                       int64_t channels) {
  constexpr int kSize = Pack<T>::size;
  if (channels % kSize == 0 && on_16_bytes(y) && on_16_bytes(table))
    launch_gather(where, reinterpret_cast<Pack<T>*>(y), reinterpret_cast<const Pack<T>*>(table), index, rows,
                  entries, channels / kSize);
  else launch_gather(where, y, table, index, rows, entries, channels);
}

template <class T>
void embedding_backward(Cuda where, Wide<T>* dtable, const T* dy, const int64_t* index, int64_t rows,
                        int64_t entries, int64_t channels) {
  constexpr int64_t kEnough = 512, kShortest = 1024;  // blocks that fill a device; least rows of a chunk
  const bool aligned = channels % Pack<T>::size == 0 && on_16_bytes(dy);
  const int64_t down = ceil_div(entries, kEntries), across = ceil_div(channels, 32 * Pack<T>::size);
  int64_t chunks = std::min(ceil_div(rows, kShortest), kEnough / std::max<int64_t>(1, down * across));
  const int64_t chunk = ceil_div(ceil_div(rows, std::max<int64_t>(1, chunks)), kThreads) * kThreads;
  chunks = chunk > 0 ? ceil_div(rows, chunk) : 1;
  float* parts = dtable;
  if (chunks > 1)
    parts = static_cast<float*>(workspace(where, size_t(chunks * entries * channels) * sizeof(float)));
  launch(where, "embedding_backward", scatter_rows<T>, Grid(down, across, chunks), kThreads, 0, parts, dy,
         index, rows, chunk, entries, int(channels), aligned);
  if (chunks > 1)
    sum_parts<1>(where, "embedding_backward", parts, chunks, entries * channels,
                 [=] __device__(int i, const Sums<1>& sum) { dtable[i] = sum.v[0]; });
}

#define INSTANTIATE(T)                                                                            \
  template void embedding_forward(Cuda, T*, const T*, const int64_t*, int64_t, int64_t, int64_t); \
  template void embedding_backward(Cuda, Wide<T>*, const T*, const int64_t*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
