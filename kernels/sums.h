// Sums of f(x...) in a fixed order, accumulated in float: over whole arrays, and down the columns of many
// rows (bias gradients, batch statistics). Always two kernels: blocks that the shape alone determines add up
// their part, then one block, or one a group of columns, adds the parts. Bound by memory: every input is read
// once.
#pragma once
#include "kernels/map.h"

// ---- over arrays (n)
// ----------------------------------------------------------------------------------------

template <class T, class F, class... X>
__global__ void __launch_bounds__(256)
    map_sum_kernel(F f, int64_t n, bool aligned, float* sums, float factor, const X*... x) {
  constexpr int kSize = Pack<T>::size;
  const int64_t stride = int64_t(gridDim.x) * blockDim.x * kSize;
  float sum = 0;
  for (int64_t i = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kSize; i < n; i += stride) {
    const int size = int(min(int64_t(kSize), n - i));
    const auto pack = [&](const Pack<X>&... in) {
#pragma unroll
      for (int e = 0; e < kSize; ++e) sum += e < size ? f(float(in.v[e])...) : 0.0f;
    };
    pack(load_part(x + i, size, aligned && size == kSize)...);
  }
  sum = block_reduce(sum, Sum());
  if (threadIdx.x == 0) sums[blockIdx.x] = factor * sum;
}

struct Itself {
  __device__ float operator()(float x) const { return x; }
};

// The blocks of a sum over n elements: a thread takes 16 bytes at a time, four times at least.
template <class T>
int64_t sum_blocks(int64_t n) {
  const int64_t blocks = ceil_div(n, 256 * 4 * Pack<T>::size);
  return blocks < 2048 ? blocks : 2048;
}
// y[0] = factor times the sum of their parts.
inline void sum_of_blocks(Cuda where, const char* name, const float* parts, int64_t blocks, double factor,
                          float* y) {
  launch(where, name, map_sum_kernel<float, Itself, float>, 1, 256, 0, Itself(), blocks, true, y,
         float(factor), parts);
}

// y[0] = factor sum of f(x[i]...).
template <class F, class T, class... X>
void map_sum(Cuda where, const char* name, int64_t n, double factor, F f, float* y, const T* x,
             const X*... more) {
  static_assert((std::is_same_v<T, X> && ...));
  const bool aligned = on_16_bytes(x) && (on_16_bytes(more) && ...);
  const int64_t blocks = sum_blocks<T>(n);
  float* parts = static_cast<float*>(workspace(where, size_t(blocks) * sizeof(float)));
  launch(where, name, map_sum_kernel<T, F, T, X...>, blocks, 256, 0, f, n, aligned, parts, 1.0f, x, more...);
  sum_of_blocks(where, name, parts, blocks, factor, y);
}

// ---- down the columns of arrays (images, positions, channels)
// -----------------------------------------------

template <int K>
struct Sums {
  float v[K];
};

// parts (images * chunks, K, channels); y as x, or null
template <int K, class T, class F, class... X>
__global__ void __launch_bounds__(256)
    column_sums_kernel(F f, int64_t positions, int64_t chunk, int64_t chunks, int channels, bool aligned,
                       T* y, float* parts, const X*... x) {
  constexpr int kSize = Pack<T>::size;
  SHARED(float, of_thread, kSize* K * 256);
  const int c = int(blockIdx.y * blockDim.x + threadIdx.x) * kSize, size = min(kSize, channels - c);
  const int64_t image = blockIdx.x / chunks, begin = blockIdx.x % chunks * chunk;
  const int64_t end = size > 0 ? min(positions, begin + chunk) : begin;
  decltype(f.at(image, c)) column[kSize];
  float sum[kSize * K] = {};
#pragma unroll
  for (int e = 0; e < kSize; ++e) column[e] = f.at(image, min(c + e, channels - 1));
  const int64_t last = image * positions + end;
  for (int64_t row = image * positions + begin + threadIdx.y; row < last; row += blockDim.y) {
    const auto pack = [&](const Pack<X>&... in) {
#pragma unroll
      for (int e = 0; e < kSize; ++e) {
        const Sums<K> add = column[e].sums(row, float(in.v[e])...);
#pragma unroll
        for (int k = 0; k < K; ++k) sum[e * K + k] += add.v[k];
      }
      if constexpr (requires { column[0].value(float(in.v[0])...); }) {
        Pack<T> out;
#pragma unroll
        for (int e = 0; e < kSize; ++e) out.v[e] = T(column[e].value(float(in.v[e])...));
        store_part(y + row * channels + c, out, size, aligned);
      }
    };
    pack(load_part(x + row * channels + c, size, aligned)...);
  }
  const int t = int(threadIdx.y * blockDim.x + threadIdx.x);
#pragma unroll
  for (int j = 0; j < kSize * K; ++j) of_thread[j * 256 + t] = sum[j];
  for (int half = int(blockDim.y) / 2; half > 0; half /= 2) {
    __syncthreads();
    if (int(threadIdx.y) < half)
      for (int j = 0; j < kSize * K; ++j)
        of_thread[j * 256 + t] += of_thread[j * 256 + t + half * int(blockDim.x)];
  }
  if (threadIdx.y > 0) return;
  for (int e = 0; e < size; ++e)
    for (int k = 0; k < K; ++k)
      parts[(int64_t(blockIdx.x) * K + k) * channels + c + e] = of_thread[(e * K + k) * 256 + t];
}

// The tiles of column_sums: a thread takes 16 positions at least; their parts take little memory and time.
template <class T>
ColumnTiles sum_tiles(int64_t images, int64_t positions, int64_t channels) {
  return column_tiles(images, positions, ceil_div(channels, Pack<T>::size), 16, 1024);
}

// parts (images, chunks, K, channels): over the positions of a chunk, f.at(n, c).sums(row, x[n, p, c]...),
// where row = n positions + p. In the same pass y[n, p, c] = f.at(n, c).value(x[n, p, c]...).
template <int K, class F, class T, class... X>
void map_column_sums(Cuda where, const char* name, const ColumnTiles& t, int64_t images, int64_t positions,
                     int64_t channels, F f, T* y, float* parts, const T* x, const X*... more) {
  static_assert((std::is_same_v<T, X> && ...));
  const bool aligned =
      channels % Pack<T>::size == 0 && on_16_bytes(y) && on_16_bytes(x) && (on_16_bytes(more) && ...);
  launch(where, name, column_sums_kernel<K, T, F, T, X...>, Grid(images * t.chunks, t.across), t.block, 0, f,
         positions, t.chunk, t.chunks, int(channels), aligned, y, parts, x, more...);
}
// The sums alone: f has no value().
template <int K, class F, class T, class... X>
void column_sums(Cuda where, const char* name, const ColumnTiles& t, int64_t images, int64_t positions,
                 int64_t channels, F f, float* parts, const T* x, const X*... more) {
  map_column_sums<K>(where, name, t, images, positions, channels, f, static_cast<T*>(nullptr), parts, x,
                     more...);
}

constexpr int kPartRows = 16;

template <int K, class F>
__global__ void __launch_bounds__(32 * kPartRows)
    sum_parts_kernel(F finish, const float* parts, int64_t count, int channels) {
  SHARED(float, of_thread, K * 32 * kPartRows);
  const int c = int(blockIdx.x * 32 + threadIdx.x), t = int(threadIdx.y * 32 + threadIdx.x);
  Sums<K> sum{};
  for (int64_t p = threadIdx.y; p < count && c < channels; p += kPartRows)
#pragma unroll
    for (int k = 0; k < K; ++k) sum.v[k] += parts[(p * K + k) * channels + c];
#pragma unroll
  for (int k = 0; k < K; ++k) of_thread[k * 32 * kPartRows + t] = sum.v[k];
  __syncthreads();
  if (threadIdx.y > 0 || c >= channels) return;
  for (int r = 1; r < kPartRows; ++r)
#pragma unroll
    for (int k = 0; k < K; ++k) sum.v[k] += of_thread[k * 32 * kPartRows + r * 32 + t];
  finish(c, sum);
}

// finish(c, sums) for every channel, with the sums of parts (count, K, channels).
template <int K, class F>
void sum_parts(Cuda where, const char* name, const float* parts, int64_t count, int64_t channels, F finish) {
  launch(where, name, sum_parts_kernel<K, F>, ceil_div(channels, 32), dim3(32, kPartRows), 0, finish, parts,
         count, int(channels));
}

template <int K, class F>
__global__ void __launch_bounds__(256)
    sum_image_parts_kernel(F finish, const float* parts, int64_t chunks, int64_t channels, int64_t size) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, image = i / channels;
  if (i >= size) return;
  Sums<K> sum{};
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
#pragma unroll
    for (int k = 0; k < K; ++k)
      sum.v[k] += parts[((image * chunks + chunk) * K + k) * channels + i % channels];
  finish(i, sum);
}

// finish(image * channels + c, sums) for every channel of every image, with the sums of its parts (images,
// chunks, K, channels).
template <int K, class F>
void sum_image_parts(Cuda where, const char* name, const float* parts, int64_t images, int64_t chunks,
                     int64_t channels, F finish) {
  launch(where, name, sum_image_parts_kernel<K, F>, ceil_div(images * channels, 256), 256, 0, finish, parts,
         chunks, channels, images * channels);
}
