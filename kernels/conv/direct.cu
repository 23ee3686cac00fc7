// Convolutions with at most four channels on one side, as in first and last layers. The images lie in shared
// memory as they are, so that no patch is gathered element by element from memory, and no tile of 128
// channels stays nearly empty. The forward pass and the gradient of the input (stride_phases.h) are the same sum:
//   result[i, j, o] = bias[o] + sum_{a, b, k} source[i stride + a, j stride + b, k] weight[a, b, k, o]
// Two kernels compute it, by tiles of 128 result pixels:
//   few_sources    at most 4 channels k. The weights of 64 o stay in shared memory, and a block goes from
//                  tile to tile. 16-bit types: a table of offsets picks the fragments of the tensor-core
//                  product from the image; K = taps k, padded to a multiple of 16. The result is written
//                  once, 2 K FLOPs an element: the minimum of memory traffic.
//   few_results    at most 4 channels o. A tile of the source is read once for all taps and, in the gradient,
//                  for all classes, 64 (f32: 32) channels k at a time. 16-bit types: ldmatrix takes the rows
//                  of a product 8 wide straight from the image. The source is read 1.1 to 1.4 times.
// f32 is computed by multiply-adds of f32 products. Not measured on a GPU yet.
#include "kernels/conv/direct.cuh"
#include "kernels/matmul/mma_tile.cuh"

namespace dae {

namespace {

// The item of write_row (mma_tile.cuh) for one pixel of the result.
template <class T>
struct OnePixel {
  T* y;
  int n;
  bool aligned;
  const float* bias;
  float beta = 0;
  __device__ T* row(int) const { return y; }
};

// ---- few channels of the source ----

constexpr int padded_depth(int depth) { return (depth + 15) / 16 * 16; }
// Returns a channel's column in the product, so that a thread of mma ends with 16 neighbouring channels.
__device__ inline int column_of(int channel) { return channel % 16 / 2 * 8 + channel / 16 * 2 + channel % 2; }

// Block indices: (tile, group of 64 channels, class).
template <class T>
__global__ void __launch_bounds__(kThreads) few_sources(const Gather<T> g, bool aligned) {
  constexpr bool kTensor = !std::is_same_v<T, float>;
  const int class_y = int(blockIdx.z) / min(g.step, g.columns),
            class_x = int(blockIdx.z) % min(g.step, g.columns);
  const ClassTaps ty = g.taps_y(class_y), tx = g.taps_x(class_x);
  const int depth = ty.count * tx.count * g.c, padded = padded_depth(depth), first = int(blockIdx.y) * kWidth;
  const int pitch = g.patch_columns * g.c, weight_pitch = kTensor ? padded + 8 : kWidth;
  DynamicShared shared;
  const auto patch = shared.take<T>(g.patch_rows * pitch);
  const auto offset = shared.take<int>(padded);
  const auto weights = shared.take<T>(kTensor ? kWidth * weight_pitch : padded * weight_pitch);

  for (int i = int(threadIdx.x); i < padded * kWidth; i += kThreads) {
    const int channel = i / padded, k = i - channel * padded, tap = k / g.c, a = tap / tx.count;
    const int b = tap - a * tx.count, from = k - tap * g.c;
    const bool inside = k < depth && first + channel < g.channels;
    const T value = inside ? g.weight[g.weight_index(g.tap(ty, tx, a, b), from, first + channel)] : T(0);
    if (kTensor) weights[column_of(channel) * weight_pitch + k] = value;
    else weights[k * weight_pitch + channel] = value;
    // The padding has zero weights, so its offset may point to any pixel.
    if (channel == 0) offset[k] = k < depth ? a * pitch + b * g.c + from : 0;
  }
  for (int unit = int(blockIdx.x); unit < g.tiles(); unit += int(gridDim.x)) {
    const auto tile = g.tile(unit);
    __syncthreads();  // every warp has read the last tile's patch
    g.load_patch(patch, tile);
    __syncthreads();
    const auto base = [&](int p) { return g.patch_y(p, ty) * pitch + g.patch_x(p, tx) * g.c; };
    const auto write = [&](int p, int channel, const float* v, int count) {
      T* to = g.pixel(tile, p, class_y, class_x);
      if (to && channel < g.channels)
        write_row(OnePixel<T>{to, g.channels, aligned, g.bias}, 0, channel, v, count);
    };

    if constexpr (kTensor) {  // a warp makes 16 pixels, 64 channels
      const int lane = lane_of_warp(), p = warp_of_block() * 16 + lane / 4, t = lane % 4;
      const auto low = patch + base(p), high = patch + base(p + 8);
      float d[8][4] = {};
      for (int k = 0; k < padded; k += 16) {
        uint32_t a[4];
#pragma unroll
        for (int h = 0; h < 2; ++h) {
          const int even = offset[k + 8 * h + 2 * t], odd = offset[k + 8 * h + 2 * t + 1];
          a[2 * h] = pair(low[even], low[odd]), a[2 * h + 1] = pair(high[even], high[odd]);
        }
#pragma unroll
        for (int j = 0; j < 8; j += 2) {
          uint32_t b[4];
          ldmatrix_x4(b,
                      weights + ((8 * j + lane % 8 + lane / 16 * 8) * weight_pitch + k + lane / 8 % 2 * 8));
          mma_m16n8k16<T>(d[j], a, {b[0], b[1]});
          mma_m16n8k16<T>(d[j + 1], a, {b[2], b[3]});
        }
      }
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        float v[16];
#pragma unroll
        for (int e = 0; e < 16; ++e) v[e] = d[e / 2][2 * h + e % 2];
        write(p + 8 * h, first + t * 16, v, 16);
      }
    } else {  // a thread makes 4 pixels, 8 channels
      const int p = int(threadIdx.x) / 8 * 4, channel = int(threadIdx.x) % 8 * 8;
      int at[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) at[i] = base(p + i);
      float d[4][8] = {};
      for (int k = 0; k < depth; ++k) {
        const Pack<float> w[2] = {load16(weights + (k * kWidth + channel)),
                                  load16(weights + (k * kWidth + channel + 4))};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float x = patch[at[i] + offset[k]];
#pragma unroll
          for (int j = 0; j < 8; ++j) d[i][j] = fmaf(x, w[j / 4].v[j % 4], d[i][j]);
        }
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) write(p + i, first + channel, d[i], 8);
    }
  }
}

// ---- few channels of the result ----

template <class T>
constexpr int kChunk = 128 / sizeof(T);
template <class T>
constexpr int kPitch = kChunk<T> + Pack<T>::size;  // puts the eight rows of ldmatrix into different banks
// The elements of one tap's weights: (8, pitch) as mma reads them, (chunk, 4) for multiply-adds.
template <class T>
constexpr int kTapWeights = std::is_same_v<T, float> ? kChunk<T>* kFew : 8 * kPitch<T>;

// Block index: the tile. There are Step * Step classes.
template <class T, int Step>
__global__ void __launch_bounds__(kThreads) few_results(const Gather<T> g, bool aligned) {
  constexpr bool kTensor = !std::is_same_v<T, float>;
  constexpr int kClasses = Step * Step, kPacks = kChunk<T> / Pack<T>::size;
  const auto tile = g.tile(int(blockIdx.x));
  const int patch_pixels = g.patch_rows * g.patch_columns, lane = lane_of_warp();
  const int y0 = g.first_y(tile), x0 = g.first_x(tile);
  DynamicShared shared;
  const auto patch = shared.take<T>(patch_pixels * kPitch<T>);
  const auto weights = shared.take<T>(g.kh * g.kw * kTapWeights<T>);
  float d[kClasses][kTensor ? 4 : 8] = {};  // f32: 4 channels of two pixels

  for (int k0 = 0; k0 < g.c; k0 += kChunk<T>) {
    __syncthreads();  // every warp has read the last chunk
    for (int i = int(threadIdx.x); i < patch_pixels * kPacks; i += kThreads) {
      const int pixel = i / kPacks, r = pixel / g.patch_columns, k = k0 + i % kPacks * Pack<T>::size;
      const int y = y0 + r, x = x0 + pixel - r * g.patch_columns;
      const bool inside = unsigned(y) < unsigned(g.h) && unsigned(x) < unsigned(g.w);
      const T* from = g.source + ((int64_t(tile.image) * g.h + y) * g.w + x) * g.c + k;
      const auto to = patch + (pixel * kPitch<T> + i % kPacks * Pack<T>::size);
      if (aligned) {
        cp_async(to, inside && k < g.c ? from : g.source, inside && k < g.c ? 16 : 0);
      } else {
        Pack<T> pack;
#pragma unroll
        for (int e = 0; e < Pack<T>::size; ++e) pack.v[e] = inside && k + e < g.c ? from[e] : T(0);
        store16(to, pack);
      }
    }
    cp_async_commit();
    constexpr int kColumns = kTensor ? 8 : kFew;
    for (int i = int(threadIdx.x); i < g.kh * g.kw * kColumns * kChunk<T>; i += kThreads) {
      const int k = i % kChunk<T>, o = i / kChunk<T> % kColumns, tap = i / (kChunk<T> * kColumns);
      const T value = k0 + k < g.c && o < g.channels ? g.weight[g.weight_index(tap, k0 + k, o)] : T(0);
      weights[tap * kTapWeights<T> + (kTensor ? o * kPitch<T> + k : k * kFew + o)] = value;
    }
    cp_async_wait<0>();
    __syncthreads();

#pragma unroll
    for (int z = 0; z < kClasses; ++z) {
      const ClassTaps ty = g.taps_y(z / Step), tx = g.taps_x(z % Step);
      const int p = warp_of_block() * 16 + (kTensor ? lane % 16 : lane % 8);
      const auto at = [&](int pixel) {
        return g.patch_y(pixel, ty) * g.patch_columns + g.patch_x(pixel, tx);
      };
      const int low = at(p), high = kTensor ? low : at(p + 8);
      for (int a = 0; a < ty.count; ++a)
        for (int b = 0; b < tx.count; ++b) {
          const int pixel = a * g.patch_columns + b;
          const auto w = weights + g.tap(ty, tx, a, b) * kTapWeights<T>;
          if constexpr (kTensor) {  // a warp makes 16 pixels
#pragma unroll
            for (int k = 0; k < kChunk<T>; k += 32) {
              uint32_t fb[4], fa[4];
              ldmatrix_x4(fb, w + (lane % 8 * kPitch<T> + k + lane / 8 * 8));
              ldmatrix_x4(fa, patch + ((low + pixel) * kPitch<T> + k + lane / 16 * 8));
              mma_m16n8k16<T>(d[z], fa, {fb[0], fb[1]});
              ldmatrix_x4(fa, patch + ((low + pixel) * kPitch<T> + k + 16 + lane / 16 * 8));
              mma_m16n8k16<T>(d[z], fa, {fb[2], fb[3]});
            }
          } else {  // a thread makes two pixels from a quarter of the chunk
#pragma unroll
            for (int k = lane / 8 * 8, end = k + 8; k < end; k += 4) {
              const Pack<float> x[2] = {load16(patch + ((low + pixel) * kPitch<T> + k)),
                                        load16(patch + ((high + pixel) * kPitch<T> + k))};
#pragma unroll
              for (int e = 0; e < 4; ++e) {
                const Pack<float> of_k = load16(w + (k + e) * kFew);
#pragma unroll
                for (int i = 0; i < 8; ++i) d[z][i] = fmaf(x[i / 4].v[e], of_k.v[i % 4], d[z][i]);
              }
            }
          }
        }
    }
  }

#pragma unroll
  for (int z = 0; z < kClasses; ++z) {
    if constexpr (!kTensor) {
#pragma unroll
      for (int i = 0; i < 8; ++i) {
        d[z][i] += __shfl_xor_sync(0xffffffffu, d[z][i], 8);
        d[z][i] += __shfl_xor_sync(0xffffffffu, d[z][i], 16);
      }
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      T* to =
          g.pixel(tile, warp_of_block() * 16 + (kTensor ? lane / 4 : lane % 8) + 8 * h, z / Step, z % Step);
      constexpr int kCount = kTensor ? 2 : 4;
      const int first = kTensor ? lane % 4 * 2 : 0;
      if (!to || (!kTensor && lane >= 8)) continue;
#pragma unroll
      for (int e = 0; e < kCount; ++e)
        if (first + e < g.channels)
          to[first + e] = T(d[z][kCount * h + e] + (g.bias ? g.bias[first + e] : 0.0f));
    }
  }
}

// ---- launching ----

template <class T>
int64_t shared_bytes(const Gather<T>& g) {
  if (g.channels <= kFew)
    return (int64_t(g.patch_rows) * g.patch_columns * kPitch<T> +
            int64_t(g.kh) * g.kw * kTapWeights<T>)*int64_t(sizeof(T));
  const int64_t padded = padded_depth(int(ceil_div(g.kh, g.step) * ceil_div(g.kw, g.step)) * g.c);
  return ceil_div(g.patch_elements() * int64_t(sizeof(T)), 16) * 16 + padded * 4 +
         kWidth * (padded + 8) * int64_t(sizeof(T));
}

template <class T>
bool fits(const ConvShape& s, bool forward) {
  const Gather<T> g = gather<T>(s, forward);
  return (g.channels <= kFew ? g.step <= 2 : g.c <= kFew) && shared_bytes(g) <= kMostShared;
}

template <class T>
void run(Cuda where, const char* name, Gather<T> g, T* result, const T* source, const T* weight,
         const float* bias) {
  g.result = result, g.source = source, g.weight = weight, g.bias = bias;
  const size_t bytes = size_t(shared_bytes(g));
  if (g.channels <= kFew) {
    const bool aligned = on_16_bytes(source) && g.c % Pack<T>::size == 0;
    launch(where, name, g.step == 1 ? few_results<T, 1> : few_results<T, 2>, g.tiles(), kThreads, bytes, g,
           aligned);
  } else {
    const bool aligned = on_16_bytes(result) && g.channels % Pack<T>::size == 0;
    const int classes = std::min(g.step, g.rows) * std::min(g.step, g.columns);
    const Grid grid(std::min(g.tiles(), 4 * multiprocessors(where)), ceil_div(g.channels, kWidth), classes);
    launch(where, name, few_sources<T>, grid, kThreads, bytes, g, aligned);
  }
}

}  // namespace

template <class T>
bool conv_direct_fits(ConvPass pass, const ConvShape& s) {
  if (pass == ConvPass::backward_weight) return conv_backward_weight_direct_fits<T>(s);
  return fits<T>(s, pass == ConvPass::forward);
}
template <class T>
void conv_forward_direct(Cuda where, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape s) {
  run(where, "conv_forward_direct", gather<T>(s, true), y, x, weight, bias);
}
template <class T>
void conv_backward_input_direct(Cuda where, T* dx, const T* dy, const T* weight, ConvShape s) {
  run(where, "conv_backward_input_direct", gather<T>(s, false), dx, dy, weight, nullptr);
}

#define INSTANTIATE(T)                                                                      \
  template bool conv_direct_fits<T>(ConvPass, const ConvShape&);                            \
  template void conv_forward_direct(Cuda, T*, const T*, const T*, const float*, ConvShape); \
  template void conv_backward_input_direct(Cuda, T*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
