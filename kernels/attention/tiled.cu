// Attention (formulas and shapes: attention.h) on tensor cores (mma.sync of sm_80). A warp keeps its scores
// in registers. Not measured on a GPU.
//
// Forward: a warp takes 16 queries. Keys and values come in chunks of 64 through two buffers of shared
// memory, so that one chunk is loaded while the other is used. Up to 256 queries (128 if head_dim > 64) fit
// into one block, which reads and writes the whole sequence exactly once:
//   bytes: 2 (2 queries + 2 keys) heads head_dim an image, + 4 heads queries for lse
//   FLOP:  4 heads queries keys head_dim an image; about half if causal, as chunks are skipped
//   64 tokens with head_dim 64: 32 FLOP a byte, limited by memory
//
// Backward: a block takes a part of the keys of a head, a warp 16 of them. The warp keeps their dk and dv in
// registers while q, dy and y come in blocks of 32 queries. The block's ds goes through shared memory to make
// dq. If there are up to 256 keys (128 if head_dim > 64), one part is the whole head and dq is final: one
// pass, five products, nothing read twice. Otherwise each part writes its own dq in f32, and a last kernel
// adds them in order:
//   bytes: 2 (4 queries + 4 keys) heads head_dim an image, + 8 for each part and element of dq if there are
//          several parts
//   FLOP:  10 heads queries keys head_dim an image
#include <algorithm>

#include "kernels/attention/fragments.cuh"

namespace dae {

namespace {

constexpr int kChunk = 64;       // the keys of one step of the forward pass
constexpr int kQueryBlock = 32;  // the queries of one step of the backward pass
template <int D>
constexpr int kMaxWarps = D <= 64 ? 16 : 8;

template <class T, int D>
__global__ void __launch_bounds__(kMaxWarps<D> * 32) tiled_forward(AttentionForward<T> a) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x);
  const int warps = int(blockDim.x / 32), warp = warp_of_block(), lane = lane_of_warp();
  const int block_begin = int(blockIdx.y) * warps * 16, head_dim = int(s.head_dim);
  const int block_end = min(block_begin + warps * 16, int(s.queries)), begin = block_begin + warp * 16;
  constexpr int chunk_size = kChunk * kStride<D>;
  DynamicShared memory;
  const Shared<T> keys = memory.take<T>(2 * chunk_size), values = memory.take<T>(2 * chunk_size);
  const Shared<T> queries = memory.take<T>(warps * 16 * kStride<D>);
  const Shared<T> mine = queries + warp * 16 * kStride<D>;

  const int block_keys = visible(s, block_end - 1), warp_keys = visible(s, min(begin + 15, block_end - 1));
  const int row_keys[2] = {visible(s, begin + lane / 4), visible(s, begin + lane / 4 + 8)};
  auto load = [&](int j) {
    const int stage = j / kChunk % 2 * chunk_size;
    load_rows<D>(keys + stage, a.k + head.kv + j * s.kv_stride, s.kv_stride, kChunk, block_keys - j,
                 head_dim);
    load_rows<D>(values + stage, a.v + head.kv + j * s.kv_stride, s.kv_stride, kChunk, block_keys - j,
                 head_dim);
  };
  load_rows<D>(queries, a.q + head.q + block_begin * s.q_stride, s.q_stride, warps * 16,
               block_end - block_begin, head_dim);
  load(0);
  cp_async_commit();

  const float scale = rsqrtf(float(head_dim)) * kLog2e;  // base-2 logarithms, for exp2f
  float acc[D / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, total[2] = {};
  for (int j = 0; j < block_keys; j += kChunk) {
    if (j + kChunk < block_keys) load(j + kChunk);
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    if (begin < block_end && j < warp_keys) {
      const int stage = j / kChunk % 2 * chunk_size;
      float p[kChunk / 8][4] = {};
      multiply_transposed<D>(p, mine, keys + stage);
      soften(p, top, total, acc, row_keys, j, scale);
      multiply<D>(acc, p, values + stage);
    }
    __syncthreads();
  }
  if (begin >= block_end) return;
  float inverse[2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    total[half] = row_reduce(total[half], Sum());
    inverse[half] = 1.0f / total[half];
    const int i = begin + lane / 4 + half * 8;
    if (lane % 4 == 0 && i < block_end) a.lse[head.lse + i] = (top[half] + log2f(total[half])) * kLn2;
  }
  const int64_t width = s.heads * s.head_dim;
  store_rows<D>(a.y + head.y + begin * width, width, acc, inverse, mine, block_end - begin, head_dim);
}

// dq_part is (parts, batch, queries, heads, head_dim) in f32, or null if there is one part.
template <class T, int D>
__global__ void __launch_bounds__(kMaxWarps<D> * 32) tiled_backward(AttentionBackward<T> a, float* dq_part) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x);
  const int warps = int(blockDim.x / 32), warp = warp_of_block(), lane = lane_of_warp();
  const int part_begin = int(blockIdx.y) * warps * 16, head_dim = int(s.head_dim), queries = int(s.queries);
  const int part_keys = min(warps * 16, int(s.keys) - part_begin), begin = part_begin + warp * 16;
  const int64_t width = s.heads * s.head_dim;
  constexpr int block_size = kQueryBlock * kStride<D>, ds_stride = kQueryBlock + 8;
  DynamicShared memory;
  const Shared<T> keys = memory.take<T>(warps * 16 * kStride<D>);
  const Shared<T> values = memory.take<T>(warps * 16 * kStride<D>);
  const Shared<T> qs = memory.take<T>(2 * block_size), dys = memory.take<T>(2 * block_size);
  const Shared<T> ys = memory.take<T>(2 * block_size), ds = memory.take<T>(warps * 16 * ds_stride);
  const Shared<float> mean = memory.take<float>(kQueryBlock), lse = memory.take<float>(kQueryBlock);
  const Shared<T> my_keys = keys + warp * 16 * kStride<D>, my_values = values + warp * 16 * kStride<D>;

  auto load = [&](int i) {
    const int stage = i / kQueryBlock % 2 * block_size, have = queries - i;
    load_rows<D>(qs + stage, a.q + head.q + i * s.q_stride, s.q_stride, kQueryBlock, have, head_dim);
    load_rows<D>(dys + stage, a.dy + head.y + i * width, width, kQueryBlock, have, head_dim);
    load_rows<D>(ys + stage, a.y + head.y + i * width, width, kQueryBlock, have, head_dim);
  };
  int first = 0;  // the first query of the first block that sees one of these keys
  while (visible(s, min(first + kQueryBlock, queries) - 1) <= part_begin) first += kQueryBlock;
  const int64_t kv = head.kv + part_begin * s.kv_stride;
  load_rows<D>(keys, a.k + kv, s.kv_stride, warps * 16, part_keys, head_dim);
  load_rows<D>(values, a.v + kv, s.kv_stride, warps * 16, part_keys, head_dim);
  load(first);
  cp_async_commit();

  const float scale = rsqrtf(float(head_dim));
  float dk[D / 8][4] = {}, dv[D / 8][4] = {};
  for (int i = first; i < queries; i += kQueryBlock) {
    if (i + kQueryBlock < queries) load(i + kQueryBlock);
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    const int stage = i / kQueryBlock % 2 * block_size;
    for (int r = warp; r < kQueryBlock; r += warps) {
      float sum = 0;
      for (int c = lane; c < D; c += 32)
        sum += float(dys[stage + r * kStride<D> + c]) * float(ys[stage + r * kStride<D> + c]);
      sum = warp_reduce(sum, Sum());
      if (lane == 0) mean[r] = sum, lse[r] = i + r < queries ? a.lse[head.lse + i + r] * kLog2e : 0.0f;
    }
    __syncthreads();
#pragma unroll 1  // both halves at once would not fit into the registers
    for (int half = 0; half < kQueryBlock; half += 16) {
      const Shared<T> q = qs + (stage + half * kStride<D>), dy = dys + (stage + half * kStride<D>);
      float p[2][4] = {}, dp[2][4] = {};  // (keys, queries)
      multiply_transposed<D>(p, my_keys, q);
      multiply_transposed<D>(dp, my_values, dy);
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int r = half + n * 8 + lane % 4 * 2 + e % 2, j = lane / 4 + e / 2 * 8;
          p[n][e] = begin + j < visible(s, i + r) ? exp2f(p[n][e] * (scale * kLog2e) - lse[r]) : 0.0f;
          dp[n][e] = scale * p[n][e] * (dp[n][e] - mean[r]);
          ds[(warp * 16 + j) * ds_stride + r] = T(dp[n][e]);
        }
      multiply<D>(dv, p, dy);
      multiply<D>(dk, dp, q);
    }
    __syncthreads();
    // dq (32, D) = ds^T (32, part) keys (part, D), in tiles of 16 x 16
    for (int tile = warp; tile < kQueryBlock / 16 * (D / 16); tile += warps) {
      const int r = tile / (D / 16) * 16, c = tile % (D / 16) * 16;
      const int ds_at = (lane / 16 * 8 + lane % 8) * ds_stride + r + lane / 8 % 2 * 8;
      const int key_at = (lane / 8 % 2 * 8 + lane % 8) * kStride<D> + c + lane / 16 * 8;
      float dq[2][4] = {};
      for (int j = 0; j < part_keys; j += 16) {
        uint32_t af[4], bf[4];
        ldmatrix_x4_trans(af, ds + (ds_at + j * ds_stride));
        ldmatrix_x4_trans(bf, keys + (key_at + j * kStride<D>));
        mma_m16n8k16<T>(dq[0], af, {bf[0], bf[1]});
        mma_m16n8k16<T>(dq[1], af, {bf[2], bf[3]});
      }
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const int row = i + r + lane / 4 + e / 2 * 8, column = c + n * 8 + lane % 4 * 2 + e % 2;
          if (row >= queries || column >= head_dim) continue;
          if (dq_part)
            dq_part[blockIdx.y * s.batch * s.queries * width + head.y + row * width + column] = dq[n][e];
          else a.dq[head.q + row * s.q_stride + column] = T(dq[n][e]);
        }
    }
  }
  __syncthreads();  // no more copies or reads of `values`: each warp's rows are now its staging
  const float one[2] = {1, 1};
  const int have = min(16, int(s.keys) - begin);
  store_rows<D>(a.dk + head.kv + begin * s.kv_stride, s.kv_stride, dk, one, my_values, have, head_dim);
  store_rows<D>(a.dv + head.kv + begin * s.kv_stride, s.kv_stride, dv, one, my_values, have, head_dim);
}

// dq = the sum of the parts. A part whose first key the query does not see is left out.
template <class T>
__global__ void __launch_bounds__(256)
    add_parts(AttentionBackward<T> a, const float* dq_part, int part_keys) {
  const AttentionShape& s = a.shape;
  const int64_t width = s.heads * s.head_dim, n = s.batch * s.queries * width;
  const int64_t e = (int64_t(blockIdx.x) * 256 + threadIdx.x) * 4;
  if (e >= n) return;
  const int64_t row = e / width, keys = s.visible(row % s.queries);
  float sum[4] = {};
  for (int64_t part = 0; part * part_keys < keys; ++part) {
    const Pack<float> in = load16(dq_part + part * n + e);
#pragma unroll
    for (int i = 0; i < 4; ++i) sum[i] += in.v[i];
  }
#pragma unroll
  for (int i = 0; i < 4; ++i) a.dq[row * s.q_stride + e % width + i] = T(sum[i]);
}

// Returns the warps of a block for n rows: enough for all rows if `most` warps suffice, else 8.
int warps_for(int64_t n, int most) { return n <= most * 16 ? int(ceil_div(n, 16)) : 8; }

}  // namespace

bool attention_tiled_takes(const AttentionShape& s) {
  return s.head_dim % 8 == 0 && s.head_dim <= 128 && s.q_stride % 8 == 0 && s.kv_stride % 8 == 0;
}

template <class T>
int64_t attention_tiled_shared(const AttentionForward<T>& a) {
  int64_t elements = 0;
  with_depth(a.shape.head_dim, [&]<int D>() {
    elements = (4 * kChunk + warps_for(a.shape.queries, kMaxWarps<D>) * 16) * kStride<D>;
  });
  return elements * int64_t(sizeof(T));
}
template <class T>
int64_t attention_tiled_shared(const AttentionBackward<T>& a) {
  int64_t elements = 0;
  with_depth(a.shape.head_dim, [&]<int D>() {
    const int part_keys = warps_for(a.shape.keys, kMaxWarps<D>) * 16;
    elements = (2 * part_keys + 6 * kQueryBlock) * kStride<D> + part_keys * (kQueryBlock + 8);
  });
  return elements * int64_t(sizeof(T)) + 2 * kQueryBlock * int64_t(sizeof(float));
}

template <class T>
void attention_tiled(Cuda where, const AttentionForward<T>& a) {
  const AttentionShape& s = a.shape;
  with_depth(s.head_dim, [&]<int D>() {
    const int warps = warps_for(s.queries, kMaxWarps<D>);
    launch(where, "attention_tiled_forward", tiled_forward<T, D>,
           Grid(s.batch * s.heads, ceil_div(s.queries, warps * 16)), warps * 32,
           size_t(attention_tiled_shared(a)), a);
  });
}

template <class T>
void attention_tiled(Cuda where, const AttentionBackward<T>& a) {
  const AttentionShape& s = a.shape;
  const int64_t n = s.batch * s.queries * s.heads * s.head_dim;
  with_depth(s.head_dim, [&]<int D>() {
    const int warps = warps_for(s.keys, kMaxWarps<D>), part_keys = warps * 16;
    const int64_t parts = ceil_div(s.keys, part_keys);
    float* dq_part =
        parts > 1 ? static_cast<float*>(workspace(where, size_t(parts * n) * sizeof(float))) : nullptr;
    launch(where, "attention_tiled_backward", tiled_backward<T, D>, Grid(s.batch * s.heads, parts),
           warps * 32, size_t(attention_tiled_shared(a)), a, dq_part);
    if (dq_part)
      launch(where, "attention_add_parts", add_parts<T>, ceil_div(n, 4 * 256), 256, 0, a, dq_part, part_keys);
  });
}

#define INSTANTIATE(T)                                                  \
  template int64_t attention_tiled_shared(const AttentionForward<T>&);  \
  template int64_t attention_tiled_shared(const AttentionBackward<T>&); \
  template void attention_tiled(Cuda, const AttentionForward<T>&);      \
  template void attention_tiled(Cuda, const AttentionBackward<T>&);
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
