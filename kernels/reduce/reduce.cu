// Sums and their gradients (formulas and shapes: reduce.h). The kernels of whole sums and of column sums are
// in ordered_sums.cuh.
//   sum_last_warp    one warp for each row of up to 1024 channels: coalesced, no barrier
//   sum_last_block   one block for each longer row
// Limited by memory: a sum reads each element once, a gradient writes each once. Not measured on a GPU yet.
#include "kernels/cuda/ordered_sums.cuh"
#include "kernels/reduce/reduce.h"

namespace dae {

namespace {

constexpr int kWarps = 8, kWarpChannels = 1024, kBlock = 256;

template <class T>
__global__ void __launch_bounds__(32 * kWarps) sum_last_warp(T* y, const T* x, int64_t rows, int channels) {
  const int64_t r = int64_t(blockIdx.x) * kWarps + warp_of_block();
  if (r >= rows) return;
  float sum = 0;
  for (int c = lane_of_warp(); c < channels; c += 32) sum += float(x[r * channels + c]);
  sum = warp_reduce(sum, Sum());
  if (lane_of_warp() == 0) y[r] = T(sum);
}

template <class T>
__global__ void __launch_bounds__(kBlock) sum_last_block(T* y, const T* x, int64_t channels) {
  float sum = 0;
  for (int64_t c = threadIdx.x; c < channels; c += kBlock) sum += float(x[blockIdx.x * channels + c]);
  sum = block_reduce(sum, Sum());
  if (threadIdx.x == 0) y[blockIdx.x] = T(sum);
}

struct ColumnItself {
  struct Column {
    __device__ Sums<1> sums(int64_t, float x) const { return {{x}}; }
  };
  __device__ Column at(int64_t, int) const { return {}; }
};

}  // namespace

template <class T>
void sum_forward(Cuda where, Wide<T>* y, const T* x, int64_t n, double factor) {
  map_sum(
      where, "sum", n, factor, [] __device__(float x) { return x; }, y, x);
}
template <class T>
void sum_squares(Cuda where, Wide<T>* y, const T* x, int64_t n) {
  map_sum(
      where, "sum_squares", n, 1, [] __device__(float x) { return x * x; }, y, x);
}
template <class T>
void fill_scalar(Cuda where, T* y, const Wide<T>* value, int64_t n, double factor) {
  const float f = float(factor);
  map(
      where, "fill_scalar", n, [=] __device__() { return f * value[0]; }, y);
}
template <class T>
void sum_last(Cuda where, T* y, const T* x, int64_t rows, int64_t channels) {
  if (channels > kWarpChannels) launch(where, "sum_last", sum_last_block<T>, rows, kBlock, 0, y, x, channels);
  else
    launch(where, "sum_last", sum_last_warp<T>, ceil_div(rows, kWarps), 32 * kWarps, 0, y, x, rows,
           int(channels));
}
template <class T>
void spread_last(Cuda where, T* y, const T* x, int64_t rows, int64_t channels) {
  map_rows(
      where, "spread_last", rows, channels, [=] __device__(int64_t r, int) { return float(x[r]); }, y);
}
template <class T>
void sum_rows(Cuda where, Wide<T>* y, const T* x, int64_t rows, int64_t channels) {
  const ColumnTiles t = sum_tiles<T>(1, rows, channels);
  float* parts = static_cast<float*>(workspace(where, size_t(t.chunks * channels) * sizeof(float)));
  column_sums<1>(where, "sum_rows", t, 1, rows, channels, ColumnItself(), parts, x);
  sum_parts<1>(where, "sum_rows", parts, t.chunks, channels,
               [=] __device__(int c, const Sums<1>& sum) { y[c] = sum.v[0]; });
}
template <class T>
void spread_rows(Cuda where, T* y, const Wide<T>* x, int64_t rows, int64_t channels) {
  map_rows(
      where, "spread_rows", rows, channels, [=] __device__(int64_t, int c) { return x[c]; }, y);
}

#define INSTANTIATE(T)                                                  \
  template void sum_forward(Cuda, Wide<T>*, const T*, int64_t, double); \
  template void sum_squares(Cuda, Wide<T>*, const T*, int64_t);         \
  template void fill_scalar(Cuda, T*, const Wide<T>*, int64_t, double); \
  template void sum_last(Cuda, T*, const T*, int64_t, int64_t);         \
  template void spread_last(Cuda, T*, const T*, int64_t, int64_t);      \
  template void sum_rows(Cuda, Wide<T>*, const T*, int64_t, int64_t);   \
  template void spread_rows(Cuda, T*, const Wide<T>*, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
