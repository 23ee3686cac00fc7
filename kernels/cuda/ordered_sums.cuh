// Sums of f(x...) on CUDA in a fixed order, accumulated in float.
//   map_sum       y[0] = factor sum over i of f(x[i]...)             arrays (n)
//   column_sums   K sums over the positions for each channel         arrays (images, positions, channels)
// The second kind computes bias gradients and batch statistics. Each sum takes two kernels. First, blocks
// that depend on the shape only compute partial sums ("parts"). Then one block, or one block for each group
// of columns, adds the parts in order. The kernels are bound by memory and read every input once.
#pragma once
#include "kernels/cuda/map.cuh"

namespace dae {

// ---- sums over arrays (n) --------------------------------------------------------------------------------

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

// Returns the number of blocks of a sum over n elements. A thread loads 16 bytes at a time. There are so few
// blocks that a thread loads four times or more (where n allows), and at most 2048.
template <class T>
int64_t sum_blocks(int64_t n) {
  const int64_t blocks = ceil_div(n, 256 * 4 * Pack<T>::size);
  return blocks < 2048 ? blocks : 2048;
}
// Writes y[0] = factor times the sum of parts (blocks).
inline void sum_of_blocks(Cuda where, const char* name, const float* parts, int64_t blocks, double factor,
                          float* y) {
  launch(where, name, map_sum_kernel<float, Itself, float>, 1, 256, 0, Itself(), blocks, true, y,
         float(factor), parts);
}

// Writes y[0] = factor times the sum over i of f(x[i]...), for arrays of n elements. It uses the workspace.
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

// ---- sums over the positions of arrays (images, positions, channels) -------------------------------------

// K sums that one pass computes together.
template <int K>
struct Sums {
  float v[K];
};

// parts is (images * chunks, K, channels). y has the shape of x; it is null if the functors have no value().
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

// Returns the tiles of column_sums. A thread handles 16 positions or more, so that the parts take little
// memory and time.
template <class T>
ColumnTiles sum_tiles(int64_t images, int64_t positions, int64_t channels) {
  return column_tiles(images, positions, ceil_div(channels, Pack<T>::size), 16, 1024);
}

// Computes partial sums and an elementwise result in one pass.
//   parts[n, chunk, k, c] = sum over the positions p of the chunk of f.at(n, c).sums(row, x[n, p, c]...).v[k]
//   y[n, p, c] = f.at(n, c).value(x[n, p, c]...)
// Here row = n positions + p. parts is (images, chunks, K, channels); x and y are (images, positions,
// channels).
template <int K, class F, class T, class... X>
void map_column_sums(Cuda where, const char* name, const ColumnTiles& t, int64_t images, int64_t positions,
                     int64_t channels, F f, T* y, float* parts, const T* x, const X*... more) {
  static_assert((std::is_same_v<T, X> && ...));
  const bool aligned =
      channels % Pack<T>::size == 0 && on_16_bytes(y) && on_16_bytes(x) && (on_16_bytes(more) && ...);
  launch(where, name, column_sums_kernel<K, T, F, T, X...>, Grid(images * t.chunks, t.across), t.block, 0, f,
         positions, t.chunk, t.chunks, int(channels), aligned, y, parts, x, more...);
}
// Computes the partial sums only; the functors have no value().
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

// Calls finish(c, sums) for every channel c, with the K sums over the first dimension of parts (count, K,
// channels).
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

// Calls finish(image * channels + c, sums) for every channel c of every image, with the K sums over the
// chunks of parts (images, chunks, K, channels).
template <int K, class F>
void sum_image_parts(Cuda where, const char* name, const float* parts, int64_t images, int64_t chunks,
                     int64_t channels, F finish) {
  launch(where, name, sum_image_parts_kernel<K, F>, ceil_div(images * channels, 256), 256, 0, finish, parts,
         chunks, channels, images * channels);
}

}  // namespace dae
