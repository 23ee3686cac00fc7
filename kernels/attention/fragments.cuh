// What the attention kernels on tensor cores share: rows (n, D) in shared memory, and products of such rows
// and of fragments in registers. D is head_dim rounded up to one of the depths of with_depth; the columns
// past head_dim are zero. A row is 16 bytes longer than D, so that the eight rows that ldmatrix reads at once
// lie in different banks.
#pragma once
#include "kernels/attention/variants.h"
#include "kernels/device/device.h"

namespace dae {

inline constexpr float kLog2e = 1.44269504f, kLn2 = 0.693147181f;

template <int D>
constexpr int kStride = D + 8;

// Starts the asynchronous copy to (rows, D) = from (have, head_dim) by the whole block; the rest becomes
// zero.
template <int D, class T>
__device__ void load_rows(Shared<T> to, const T* from, int64_t stride, int rows, int have, int head_dim) {
  constexpr int packs = D / 8;
#pragma unroll 1
  for (int e = int(threadIdx.x); e < rows * packs; e += int(blockDim.x)) {
    const int r = e / packs, c = e % packs * 8;
    const bool inside = r < have && c < head_dim;
    cp_async(to + (r * kStride<D> + c), inside ? from + r * stride + c : from, inside ? 16 : 0);
  }
}

// to (have, head_dim) = acc (16, D), by one warp. Rows 0 to 7 are multiplied by factor[0], rows 8 to 15 by
// factor[1]; rows from `have` on are left out. `staging` (16, D) lets the warp write whole 16-byte chunks.
template <int D, class T>
__device__ void store_rows(T* to, int64_t stride, const float (&acc)[D / 8][4], const float (&factor)[2],
                           Shared<T> staging, int have, int head_dim) {
  const int lane = lane_of_warp(), row = lane / 4, column = lane % 4 * 2;
  __syncwarp();
#pragma unroll
  for (int n = 0; n < D / 8; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e)
      staging[(row + e / 2 * 8) * kStride<D> + n * 8 + column + e % 2] = T(acc[n][e] * factor[e / 2]);
  __syncwarp();
  for (int e = lane; e < 16 * D / 8; e += 32) {
    const int r = e / (D / 8), c = e % (D / 8) * 8;
    if (r < have && c < head_dim) store16(to + r * stride + c, load16(staging + (r * kStride<D> + c)));
  }
}

// acc (16, 8 N) += a (16, 16) b (8 N, 16)^T. a is in registers; b begins at column d of rows in shared
// memory.
template <int D, int N, class T>
__device__ void multiply_transposed_step(float (&acc)[N][4], const uint32_t (&a)[4], Shared<T> b, int d) {
  const int lane = lane_of_warp();
  const int b_at = (lane / 16 * 8 + lane % 8) * kStride<D> + lane / 8 % 2 * 8;
#pragma unroll
  for (int n = 0; n < N; n += 2) {
    uint32_t bf[4];
    ldmatrix_x4(bf, b + (b_at + n * 8 * kStride<D> + d));
    mma_m16n8k16<T>(acc[n], a, {bf[0], bf[1]});
    mma_m16n8k16<T>(acc[n + 1], a, {bf[2], bf[3]});
  }
}
// acc (16, 8 N) += a (16, D) b (8 N, D)^T. Both are rows in shared memory.
template <int D, int N, class T>
__device__ void multiply_transposed(float (&acc)[N][4], Shared<T> a, Shared<T> b) {
  const int lane = lane_of_warp(), a_at = lane % 16 * kStride<D> + lane / 16 * 8;
#pragma unroll(D > 64 ? 2 : 4)  // more would not fit into the registers
  for (int d = 0; d < D; d += 16) {
    uint32_t af[4];
    ldmatrix_x4(af, a + (a_at + d));
    multiply_transposed_step<D>(acc, af, b, d);
  }
}

template <class T>
__device__ inline uint32_t pair(float low, float high) {
  return uint32_t(T(low).bits) | uint32_t(T(high).bits) << 16;
}

// acc (16, D) += p (16, 8 N) b (8 N, D). p has the register layout of an mma result; b is rows in shared
// memory.
template <int D, int N, class T>
__device__ void multiply(float (&acc)[D / 8][4], const float (&p)[N][4], Shared<T> b) {
  const int lane = lane_of_warp();
  const int b_at = (lane / 8 % 2 * 8 + lane % 8) * kStride<D> + lane / 16 * 8;
#pragma unroll
  for (int n = 0; n < N; n += 2) {
    const uint32_t af[4] = {pair<T>(p[n][0], p[n][1]), pair<T>(p[n][2], p[n][3]),
                            pair<T>(p[n + 1][0], p[n + 1][1]), pair<T>(p[n + 1][2], p[n + 1][3])};
#pragma unroll
    for (int d = 0; d < D / 8; d += 2) {
      uint32_t bf[4];
      ldmatrix_x4_trans(bf, b + (b_at + n * 8 * kStride<D> + d * 8));
      mma_m16n8k16<T>(acc[d], af, {bf[0], bf[1]});
      mma_m16n8k16<T>(acc[d + 1], af, {bf[2], bf[3]});
    }
  }
}

// Returns how many keys query i sees: none if there is no such query.
__device__ inline int visible(const AttentionShape& s, int i) {
  return i < s.queries ? int(s.visible(i)) : 0;
}

// Reduces v over the four lanes that share a row of an mma.
template <class Op>
__device__ float row_reduce(float v, Op op) {
  v = op(v, __shfl_xor_sync(0xffffffffu, v, 1));
  return op(v, __shfl_xor_sync(0xffffffffu, v, 2));
}

// Makes one step of the softmax over 16 rows, by one warp. On entry p (16, 8 N) holds the raw scores of the
// keys from j on; the rows of `half` see only keys below row_keys[half]. On return p holds
// 2^(scale score - top), where top is the highest scaled score so far. total and acc (16, 8 M), the sums over
// the keys before j, are rescaled to the new top. `scale` includes log2(e).
template <int N, int M>
__device__ void soften(float (&p)[N][4], float (&top)[2], float (&total)[2], float (&acc)[M][4],
                       const int (&row_keys)[2], int j, float scale) {
  const int column = lane_of_warp() % 4 * 2;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float highest = top[half];
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float& score = p[n][half * 2 + e];
        score = j + n * 8 + column + e < row_keys[half] ? score * scale : -INFINITY;
        highest = fmaxf(highest, score);
      }
    highest = row_reduce(highest, Maximum());
    // Every real row sees the first key, so only padding has no highest score.
    const float shift = highest == -INFINITY ? 0.0f : highest, shrink = exp2f(top[half] - shift);
    top[half] = highest, total[half] *= shrink;
#pragma unroll
    for (int n = 0; n < N; ++n)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float& score = p[n][half * 2 + e];
        score = exp2f(score - shift);
        total[half] += score;
      }
#pragma unroll
    for (int d = 0; d < M; ++d) acc[d][half * 2] *= shrink, acc[d][half * 2 + 1] *= shrink;
  }
}

// Calls f.template operator()<D>() with the smallest D that is at least head_dim.
template <class F>
void with_depth(int64_t head_dim, F f) {
  if (head_dim <= 32) f.template operator()<32>();
  else if (head_dim <= 64) f.template operator()<64>();
  else if (head_dim <= 80) f.template operator()<80>();
  else if (head_dim <= 112) f.template operator()<112>();
  else f.template operator()<128>();
}

}  // namespace dae
