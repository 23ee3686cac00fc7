// The nearest code (vq.h) by a product on tensor cores, whose result stays in registers.
//
// Each factor is written as the sum of two bf16 numbers, x = high + low + r with |r| <= 2^-18 |x|. Then
//   z e = high high + high low + low high
// is exact to about 2^-16 |z| |e|. (z in bf16 has no low part and needs two products.) A block takes 128 rows
// and goes through the codes 128 at a time. Both come in slices of 32 channels through two buffers of shared
// memory. The epilogue adds |e|^2 and keeps, for each row, the two best codes and the third best score. If
// the second score is within the rounding error of the first, both distances are computed in f64; if the
// third is too, all distances of the row are.
//   bytes: z once from memory (and from L2 for every 128 codes), the codebook from L2; 8 written a row.
//          In f32 and f16, z is split first: this reads s bytes and writes 4 an element, s = sizeof(T), and
//          then 4 are read instead of s.
//   FLOP:  2 rows codes channels, times 2 (bf16) or 3 on the tensor cores
// Not measured on a GPU.
#include "kernels/device/device.h"
#include "kernels/vq/nearest.cuh"
#include "kernels/vq/variants.h"

namespace dae {

namespace {

constexpr int kRows = 128, kCodes = 128, kSlice = 32, kStride = kSlice + 8;
constexpr int kTile = kRows * kStride;  // of a slice in shared memory, with rows padded by 16 bytes
constexpr int kThreads = 256;           // 4 x 2 warps, each 32 rows by 64 codes

// A matrix (rows, channels) in two halves. channels is a multiple of 8; low is unused if it is zero.
struct Halves {
  const bf16 *high, *low;
  int rows, channels;
};

// Splits x (rows, channels) into high + low, filled up with zeros to `padded` channels, and writes the norm
// of each row. A warp takes one row. high and low may be null.
template <class T>
__global__ void __launch_bounds__(kThreads)
    split(bf16* high, bf16* low, float* norm, const T* x, int rows, int channels, int padded) {
  const int row = int(blockIdx.x) * (kThreads / 32) + warp_of_block();
  if (row >= rows) return;
  float sum = 0;
  for (int c = lane_of_warp(); c < padded; c += 32) {
    const float value = c < channels ? float(x[int64_t(row) * channels + c]) : 0.0f;
    sum += value * value;
    const bf16 h(value);
    if (high) high[int64_t(row) * padded + c] = h;
    if (low) low[int64_t(row) * padded + c] = bf16(value - float(h));
  }
  sum = warp_reduce(sum, Sum());
  if (lane_of_warp() == 0) norm[row] = sqrtf(sum);
}

// The best codes of a row so far, by the score |e|^2 - 2 z e: first, second and third are the lowest scores.
struct Best {
  float first = INFINITY, second = INFINITY, third = INFINITY;
  int code = 0, other = 0;
  __device__ void add(float score, int k) {
    if (!(score < third)) return;
    if (score < first) third = second, second = first, other = code, first = score, code = k;
    else if (score < second) third = second, second = score, other = k;
    else third = score;
  }
  __device__ void add(const Best& b) {
    add(b.first, b.code);
    add(b.second, b.other);
    third = fminf(third, b.third);
  }
};

__device__ inline Best from_lane(const Best& b, int distance) {
  Best r;
  r.first = __shfl_xor_sync(0xffffffffu, b.first, distance);
  r.second = __shfl_xor_sync(0xffffffffu, b.second, distance);
  r.third = __shfl_xor_sync(0xffffffffu, b.third, distance);
  r.code = __shfl_xor_sync(0xffffffffu, b.code, distance);
  r.other = __shfl_xor_sync(0xffffffffu, b.other, distance);
  return r;
}

// Starts the asynchronous copy tile (128, 32) = rows from `row` and channels from `channel` of x; zeros
// outside.
__device__ inline void load_slice(Shared<bf16> tile, const bf16* x, const Halves& of, int row, int channel) {
#pragma unroll
  for (int e = int(threadIdx.x); e < kRows * kSlice / 8; e += kThreads) {
    const int r = e / (kSlice / 8), c = e % (kSlice / 8) * 8;
    const bool inside = row + r < of.rows && channel + c < of.channels;
    cp_async(tile + (r * kStride + c), inside ? x + int64_t(row + r) * of.channels + channel + c : x,
             inside ? 16 : 0);
  }
}

// Returns the margin of the scores: if two scores differ by more, their order is right. It is twice the error
// of one score: 2 |z| |e| times the error of the product (3 2^-18 for the halves, 2^-19 for each sum of 16
// products that the tensor cores may truncate), and a few roundings. The norms are off by less than a
// thousandth.
__device__ inline float margin(float z, float e, int channels) {
  const float product = 3 * 0x1p-18f + float(3 * (channels / 16 + 1)) * 0x1p-19f;
  return 2 * (2 * z * e * product + (e * e + 2 * z * e) * 0x1p-20f + (z + e) * (z + e) * 0x1p-40f) * 1.01f;
}

template <bool Low, class T>
__global__ void __launch_bounds__(kThreads)
    nearest(int64_t* index, Halves z, Halves e, const float* z_norm, const float* e_norm, const T* z_exact,
            const float* e_exact, int64_t channels) {
  DynamicShared memory;
  const Shared<bf16> tiles =
      memory.take<bf16>(2 * (Low ? 4 : 3) * kTile);  // two buffers of e high, e low, z high, z low
  SHARED(float, longest, 1);
  const int lane = lane_of_warp(), warp = warp_of_block(), begin = int(blockIdx.x) * kRows;
  const int my_row = warp / 2 * 32, my_code = warp % 2 * 64;
  const int slices = int(ceil_div(z.channels, kSlice)), steps = slices * int(ceil_div(e.rows, kCodes));
  auto buffer = [&](int step, int part) { return tiles + ((step % 2 * (Low ? 4 : 3) + part) * kTile); };
  auto load = [&](int step) {
    const int channel = step % slices * kSlice, code = step / slices * kCodes;
    load_slice(buffer(step, 0), e.high, e, code, channel);
    load_slice(buffer(step, 1), e.low, e, code, channel);
    load_slice(buffer(step, 2), z.high, z, begin, channel);
    if constexpr (Low) load_slice(buffer(step, 3), z.low, z, begin, channel);
    cp_async_commit();
  };
  load(0);
  float norm = 0;
  for (int k = int(threadIdx.x); k < e.rows; k += kThreads) norm = fmaxf(norm, e_norm[k]);
  norm = block_reduce(norm, Maximum());
  if (threadIdx.x == 0) longest[0] = norm;

  const int a_at = (my_row + lane % 16) * kStride + lane / 16 * 8;
  const int b_at = (my_code + lane / 16 * 8 + lane % 8) * kStride + lane / 8 % 2 * 8;
  Best best[4];  // of the rows my_row + lane / 4 + 8 i
  float acc[2][8][4] = {};
#pragma unroll 1
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) load(step + 1);
    else cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
#pragma unroll 1
    for (int c = 0; c < kSlice; c += 16) {
      uint32_t high[2][4], low[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        ldmatrix_x4(high[m], buffer(step, 2) + (a_at + m * 16 * kStride + c));
        if constexpr (Low) ldmatrix_x4(low[m], buffer(step, 3) + (a_at + m * 16 * kStride + c));
      }
#pragma unroll
      for (int n = 0; n < 8; n += 2) {
        uint32_t bh[4], bl[4];
        ldmatrix_x4(bh, buffer(step, 0) + (b_at + n * 8 * kStride + c));
        ldmatrix_x4(bl, buffer(step, 1) + (b_at + n * 8 * kStride + c));
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            mma_m16n8k16<bf16>(acc[m][n + half], high[m], {bl[2 * half], bl[2 * half + 1]});
            if constexpr (Low) mma_m16n8k16<bf16>(acc[m][n + half], low[m], {bh[2 * half], bh[2 * half + 1]});
            mma_m16n8k16<bf16>(acc[m][n + half], high[m], {bh[2 * half], bh[2 * half + 1]});
          }
      }
    }
    __syncthreads();
    if (step % slices < slices - 1) continue;
    const int first = step / slices * kCodes + my_code + lane % 4 * 2;
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int side = 0; side < 2; ++side) {
        const int k = first + n * 8 + side;
        const float length = k < e.rows ? e_norm[k] : INFINITY;
#pragma unroll
        for (int m = 0; m < 2; ++m)
#pragma unroll
          for (int half = 0; half < 2; ++half) {
            best[m * 2 + half].add(length * length - 2 * acc[m][n][half * 2 + side], k);
            acc[m][n][half * 2 + side] = 0;
          }
      }
  }

  // Merges the four lanes of a row, then its two warps.
  DynamicShared again;
  const Shared<Best> of_row = again.take<Best>(2 * kRows);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    best[i].add(from_lane(best[i], 1));
    best[i].add(from_lane(best[i], 2));
    if (lane % 4 == 0) of_row[warp % 2 * kRows + my_row + lane / 4 + 8 * i] = best[i];
  }
  __syncthreads();
  for (int r = warp; r < kRows && begin + r < z.rows; r += kThreads / 32) {
    Best b = of_row[r];
    b.add(of_row[kRows + r]);
    const float limit = b.first + margin(z_norm[begin + r], longest[0], z.channels);
    int found = b.code;
    if (!(b.second > limit)) {  // also true for NaN, which is measured too
      const bool all = !(b.third > limit);
      Nearest nearest;
      for (int i = lane; i < (all ? e.rows : 2); i += 32)
        nearest = nearer(nearest, measure(z_exact + (begin + r) * channels, e_exact,
                                          all      ? i
                                          : i == 0 ? b.code
                                                   : b.other,
                                          channels));
      found = nearest_of_warp(nearest).code;
    }
    if (lane == 0) index[begin + r] = found;
  }
}

}  // namespace

template <class T>
void nearest_code_tensor(Cuda where, int64_t* index, const T* z, const float* codebook, int64_t rows,
                         int64_t codes, int64_t channels) {
  const int padded = int(ceil_div(channels, 8) * 8);
  const bool as_it_is = std::is_same_v<T, bf16> && padded == channels;
  const int64_t z_size = as_it_is ? 0 : rows * padded, e_size = codes * padded;
  bf16* z_high = static_cast<bf16*>(
      workspace(where, size_t(2 * (z_size + e_size)) * sizeof(bf16) + size_t(rows + codes) * sizeof(float)));
  bf16 *z_low = z_high + z_size, *e_high = z_low + z_size, *e_low = e_high + e_size;
  float *z_norm = reinterpret_cast<float*>(e_low + e_size), *e_norm = z_norm + rows;
  bf16* const none = nullptr;
  launch(where, "nearest_code_split", split<T>, ceil_div(rows, kThreads / 32), kThreads, 0,
         as_it_is ? none : z_high, as_it_is || std::is_same_v<T, bf16> ? none : z_low, z_norm, z, rows,
         channels, padded);
  launch(where, "nearest_code_split", split<float>, ceil_div(codes, kThreads / 32), kThreads, 0, e_high,
         e_low, e_norm, codebook, codes, channels, padded);
  constexpr bool low = !std::is_same_v<T, bf16>;
  const bf16* high = z_high;
  if constexpr (!low)
    if (as_it_is) high = z;
  launch(where, "nearest_code_tensor", nearest<low, T>, ceil_div(rows, kRows), kThreads,
         2 * (low ? 4 : 3) * kTile * sizeof(bf16), index, Halves{high, z_low, int(rows), padded},
         Halves{e_high, e_low, int(codes), padded}, z_norm, e_norm, z, codebook, channels);
}

#define INSTANTIATE(T) \
  template void nearest_code_tensor(Cuda, int64_t*, const T*, const float*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
