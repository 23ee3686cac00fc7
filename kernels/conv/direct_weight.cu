// The gradient of the weights if one side has at most four channels (first and last layers), as a product:
//   dw[o, (tap, k)] = sum over pixels p of many[p, o] few[patch of p, tap, k]
//   first layer   many = dy (n, oh, ow, co), few = x (n, h, w, ci)
//   last layer    many = x (n, h, w, ci), few = dy (n, oh, ow, co), gathered as in the gradient of the input:
//                 class by class (stride_phases.h), each with taps of its own
// A block takes 64 channels o, 48 columns (tap, k) and a share of the tiles of 128 pixels. The tile of `many`
// and the patch of `few` that it meets lie in shared memory. A warp multiplies 16 pixels, and the sums of the
// eight warps are added in order at the end. Each share writes an f32 part, and the parts are added in order.
//   bytes: many once for every 48 columns (for the 75 of a 5x5 first layer twice, the second time from the L2
//          cache), few 1.1 to 1.4 times
//   FLOP:  2 pixels channels taps few
// 16-bit types run on tensor cores, which read `many` by transposing ldmatrix and pick `few` from the patch
// by offsets; f32 runs by multiply-adds. Not measured on a GPU.
#include "kernels/conv/direct.cuh"
#include "kernels/matmul/mma_tile.cuh"

namespace dae {

namespace {

constexpr int kColumns = 48, kWarps = kThreads / 32;
template <class T>
constexpr int kManyPitch = kWidth + Pack<T>::size;  // puts the eight rows of ldmatrix into different banks

// The part of the product (64, 48) that a thread holds. add(many, patch, first, base) adds the 16 pixels of a
// warp from `first` on; base(p) is where the patch of pixel p begins.
template <class T>
struct Product {
  float d[4][6][4] = {};
  int offset[6];

  __device__ explicit Product(Shared<int> of_column) {
#pragma unroll
    for (int n = 0; n < 6; ++n) offset[n] = of_column[n * 8 + lane_of_warp() / 4];
  }
  template <class Base>
  __device__ void add(Shared<T> many, Shared<T> patch, int first, Base base) {
    const int lane = lane_of_warp(), t = first + lane % 4 * 2;
    const int at[4] = {base(t), base(t + 1), base(t + 8), base(t + 9)};
    uint32_t a[4][4];
#pragma unroll
    for (int m = 0; m < 4; ++m)
      ldmatrix_x4_trans(
          a[m], many + ((first + lane % 8 + lane / 16 * 8) * kManyPitch<T> + m * 16 + lane / 8 % 2 * 8));
#pragma unroll
    for (int n = 0; n < 6; ++n) {
      const uint32_t b[2] = {pair(patch[at[0] + offset[n]], patch[at[1] + offset[n]]),
                             pair(patch[at[2] + offset[n]], patch[at[3] + offset[n]])};
#pragma unroll
      for (int m = 0; m < 4; ++m) mma_m16n8k16<T>(d[m][n], a[m], b);
    }
  }
  template <class F>
  __device__ void each(F f) {  // calls f(channel, column, value) for each element that this thread holds
    const int lane = lane_of_warp();
#pragma unroll
    for (int m = 0; m < 4; ++m)
#pragma unroll
      for (int n = 0; n < 6; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          f(m * 16 + lane / 4 + e / 2 * 8, n * 8 + lane % 4 * 2 + e % 2, d[m][n][e]);
  }
};

template <>
struct Product<float> {  // a thread has 8 channels and every fourth column
  float d[8][12] = {};
  int offset[12];

  __device__ explicit Product(Shared<int> of_column) {
#pragma unroll
    for (int n = 0; n < 12; ++n) offset[n] = of_column[n * 4 + lane_of_warp() % 4];
  }
  template <class Base>
  __device__ void add(Shared<float> many, Shared<float> patch, int first, Base base) {
    const int channel = lane_of_warp() / 4 * 8;
#pragma unroll 1
    for (int p = first; p < first + 16; ++p) {
      const int at = base(p);
      const Pack<float> low = load16(many + (p * kManyPitch<float> + channel)),
                        high = load16(many + (p * kManyPitch<float> + channel + 4));
#pragma unroll
      for (int n = 0; n < 12; ++n) {
        const float x = patch[at + offset[n]];
#pragma unroll
        for (int m = 0; m < 4; ++m) {
          d[m][n] = fmaf(low.v[m], x, d[m][n]);
          d[m + 4][n] = fmaf(high.v[m], x, d[m + 4][n]);
        }
      }
    }
  }
  template <class F>
  __device__ void each(F f) {
#pragma unroll
    for (int m = 0; m < 8; ++m)
#pragma unroll
      for (int n = 0; n < 12; ++n) f(lane_of_warp() / 4 * 8 + m, n * 4 + lane_of_warp() % 4, d[m][n]);
  }
};

// parts is (shares, size of dw). Block indices: (share, group of 64 channels and group of 48 columns, class).
template <class T>
__global__ void __launch_bounds__(kThreads)
    few_weights(const Gather<T, const T> g, float* parts, int64_t size, int groups, bool aligned) {
  const int class_y = int(blockIdx.z) / g.step, class_x = int(blockIdx.z) % g.step;
  const ClassTaps ty = g.taps_y(class_y), tx = g.taps_x(class_x);
  const int depth = ty.count * tx.count * g.c, pitch = g.patch_columns * g.c;
  const int first = int(blockIdx.y) % groups * kWidth, column = int(blockIdx.y) / groups * kColumns;
  if (column >= depth) return;
  DynamicShared shared;
  const auto patch = shared.take<T>(int(g.patch_elements()));
  const auto many = shared.take<T>(kPixels * kManyPitch<T>);
  const auto sum = shared.take<float>(kWidth * kColumns);
  SHARED(int, offset, kColumns);
  for (int i = int(threadIdx.x); i < kColumns; i += kThreads) {
    const int k = column + i, tap = k / g.c, a = tap / tx.count;
    // Columns past the last are not written, so their offset may point to any pixel.
    offset[i] = k < depth ? a * pitch + (tap - a * tx.count) * g.c + k - tap * g.c : 0;
  }
  __syncthreads();
  Product<T> product(offset);
  constexpr int kSize = Pack<T>::size, kPacks = kWidth / kSize;
  for (int unit = int(blockIdx.x); unit < g.tiles(); unit += int(gridDim.x)) {
    const auto tile = g.tile(unit);
    __syncthreads();  // every warp has read the last tile
    for (int i = int(threadIdx.x); i < kPixels * kPacks; i += kThreads) {
      const int p = i / kPacks, channel = first + i % kPacks * kSize;
      const T* from = channel < g.channels ? g.pixel(tile, p, class_y, class_x) : nullptr;
      const auto to = many + (p * kManyPitch<T> + i % kPacks * kSize);
      if (aligned) {
        cp_async(to, from ? from + channel : g.result, from ? 16 : 0);
      } else {
        Pack<T> pack;
#pragma unroll
        for (int e = 0; e < kSize; ++e)
          pack.v[e] = from && channel + e < g.channels ? from[channel + e] : T(0);
        store16(to, pack);
      }
    }
    cp_async_commit();
    g.load_patch(patch, tile);
    cp_async_wait<0>();
    __syncthreads();
    product.add(many, patch, warp_of_block() * 16,
                [&](int p) { return g.patch_y(p, ty) * pitch + g.patch_x(p, tx) * g.c; });
  }
  for (int w = 0; w < kWarps; ++w) {
    if (w == warp_of_block())
      product.each([&](int channel, int c, float value) {
        float& to = sum[channel * kColumns + c];
        to = w == 0 ? value : to + value;
      });
    __syncthreads();
  }
  for (int i = int(threadIdx.x); i < kWidth * kColumns; i += kThreads) {
    const int channel = first + i / kColumns, k = column + i % kColumns, tap = k / g.c, a = tap / tx.count;
    if (channel < g.channels && k < depth)
      parts[blockIdx.x * size +
            g.weight_index(g.tap(ty, tx, a, tap - a * tx.count), k - tap * g.c, channel)] = sum[i];
  }
}

template <class T>
Gather<T, const T> gather_of(const ConvShape& s) {
  return gather<T, const T>(s, s.ci <= kFew);
}
template <class T>
int64_t shared_bytes(const Gather<T, const T>& g) {
  return ceil_div(g.patch_elements() * int64_t(sizeof(T)), 16) * 16 +
         kPixels * kManyPitch<T> * int64_t(sizeof(T)) + kWidth * kColumns * 4;
}

}  // namespace

template <class T>
bool conv_backward_weight_direct_fits(const ConvShape& s) {
  if (std::min(s.ci, s.co) > kFew) return false;
  const auto g = gather_of<T>(s);
  // In an image smaller than the stride, some taps belong to no class.
  return g.step <= std::min(g.rows, g.columns) && shared_bytes(g) <= kMostShared;
}

template <class T>
void conv_backward_weight_direct(Cuda where, Wide<T>* dw, const T* dy, const T* x, ConvShape s) {
  auto g = gather_of<T>(s);
  g.result = g.forward ? dy : x, g.source = g.forward ? x : dy;
  const int64_t size = s.co * s.kh * s.kw * s.ci, groups = ceil_div(g.channels, kWidth);
  const int64_t taps = ceil_div(g.kh, g.step) * ceil_div(g.kw, g.step);  // the most that a class has
  const int64_t others = groups * ceil_div(taps * g.c, kColumns), classes = int64_t(g.step) * g.step;
  // The shape alone decides the shares, so that every device adds in the same order.
  const int64_t shares = std::clamp<int64_t>(256 / (others * classes), 1, std::max(g.tiles() / 2, 1));
  const bool aligned = on_16_bytes(g.result) && g.channels % Pack<T>::size == 0;
  in_splits(where, dw, size, int(shares), 0, [&](float* to, float) {
    launch(where, "conv_backward_weight_direct", few_weights<T>, Grid(shares, others, classes), kThreads,
           size_t(shared_bytes(g)), g, to, size, int(groups), aligned);
  });
}

#define INSTANTIATE(T)                                                 \
  template bool conv_backward_weight_direct_fits<T>(const ConvShape&); \
  template void conv_backward_weight_direct(Cuda, float*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
