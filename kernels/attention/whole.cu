// Attention (formulas and shapes: attention.h) of whole sequences of up to 256 queries and keys, head_dim up
// to 128, bf16 and f16. One block takes one head. The tensors that every warp needs lie in shared memory for
// the whole pass; a warp loads its own rows straight from memory into its fragments. There is no ring of
// buffers; a warp waits only for the copies of its pass or half.
//   forward    keys and values lie in shared memory; a warp takes 16 queries and all the keys they see, then
//              its next 16 queries
//     bytes:   2 (2 queries + 2 keys) heads head_dim an image, + 4 heads queries for lse
//     FLOP:    4 heads queries keys head_dim an image; about half if causal
//   backward   in two halves over the same shared memory. First keys and values lie there, and a warp makes
//              the dq of 16 queries. Then q and dy lie there, and a warp makes the dk and dv of 16 keys. No
//              part of dq is added across warps.
//     bytes:   2 (4 queries + 4 keys) heads head_dim an image; k, v, q, dy a second time, from the L2 cache
//     FLOP:    14 heads queries keys head_dim an image, 4 of the 14 repeated; about half if causal
// Shared memory: 4 (head_dim + 8) tokens bytes; at 256 tokens of 128, 139 KB of the 163 KB of sm_80.
// Compared with tiled.cu: the forward pass reads the same bytes and waits for no chunks. The backward pass
// does more products, but it needs no f32 parts of dq where tiled.cu cuts the keys in two (head_dim > 64 and
// more than 128 keys). Not measured on a GPU.
#include <algorithm>

#include "kernels/attention/fragments.cuh"

namespace dae {

namespace {

constexpr int kMost = 256;       // the most tokens
constexpr int kWarps = 8;        // the most warps of a block
constexpr int kKeysAtOnce = 64;  // whose scores a warp holds in the forward pass
// Whether the registers have room for v beside k, dk and dv. If not, each product loads v again from the
// first-level cache.
template <int D>
constexpr bool kKeepValues = D <= 112;

// f = the left operand of a product: 16 rows of memory (of which `have` rows of head_dim columns exist) from
// column d on. Elements outside become zero.
template <class T>
__device__ void load_fragment(uint32_t (&f)[4], const T* from, int64_t stride, int have, int head_dim,
                              int d) {
  struct alignas(4) Two {
    T v[2];
  };
  const int lane = lane_of_warp(), row = lane / 4, column = lane % 4 * 2;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int r = row + i % 2 * 8, c = d + column + i / 2 * 8;
    f[i] = 0;
    if (r >= have || c >= head_dim) continue;
    const Two two = *reinterpret_cast<const Two*>(from + r * stride + c);
    f[i] = uint32_t(two.v[0].bits) | uint32_t(two.v[1].bits) << 16;
  }
}
template <int D, class T>
__device__ void load_fragments(uint32_t (&f)[D / 16][4], const T* from, int64_t stride, int have,
                               int head_dim) {
#pragma unroll
  for (int d = 0; d < D / 16; ++d) load_fragment(f[d], from, stride, have, head_dim, d * 16);
}

template <int N>
__device__ void clear(float (&acc)[N][4]) {
#pragma unroll
  for (int n = 0; n < N; ++n)
#pragma unroll
    for (int e = 0; e < 4; ++e) acc[n][e] = 0;
}
// acc (16, 8 N) = a (16, D) b (8 N, D)^T. a is in registers; b is rows in shared memory.
template <int D, int N, class T>
__device__ void multiply_transposed(float (&acc)[N][4], const uint32_t (&a)[D / 16][4], Shared<T> b) {
  clear(acc);
#pragma unroll
  for (int d = 0; d < D / 16; ++d) multiply_transposed_step<D>(acc, a[d], b, d * 16);
}

// to (have, head_dim) = acc (16, D). Rows 0 to 7 are multiplied by factor[0], rows 8 to 15 by factor[1]; rows
// from `have` on are left out.
template <int D, class T>
__device__ void store_fragments(T* to, int64_t stride, const float (&acc)[D / 8][4], const float (&factor)[2],
                                int have, int head_dim) {
  struct alignas(4) Two {
    T v[2];
  };
  const int lane = lane_of_warp(), row = lane / 4, column = lane % 4 * 2;
#pragma unroll
  for (int n = 0; n < D / 8; ++n)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int r = row + half * 8, c = n * 8 + column;
      if (r >= have || c >= head_dim) continue;
      const Two two = {{T(acc[n][half * 2] * factor[half]), T(acc[n][half * 2 + 1] * factor[half])}};
      *reinterpret_cast<Two*>(to + r * stride + c) = two;
    }
}

// Returns the i-th tile of 16 rows of this warp. The order of the warps alternates, so that causal warps have
// about the same work.
__device__ inline int my_tile(int i) {
  const int warps = int(blockDim.x / 32), warp = warp_of_block();
  return i * warps + (i % 2 ? warps - 1 - warp : warp);
}
__device__ inline int tokens_padded(int64_t tokens) { return (int(tokens) + 15) / 16 * 16; }

template <class T, int D>
__global__ void __launch_bounds__(kWarps * 32) whole_forward(AttentionForward<T> a) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x);
  const int head_dim = int(s.head_dim), lane = lane_of_warp(), queries = int(s.queries), seen = int(s.keys);
  const int rows = (seen + kKeysAtOnce - 1) / kKeysAtOnce * kKeysAtOnce, tiles = tokens_padded(queries) / 16;
  DynamicShared memory;
  const Shared<T> keys = memory.take<T>(rows * kStride<D>), values = memory.take<T>(rows * kStride<D>);
  load_rows<D>(keys, a.k + head.kv, s.kv_stride, rows, seen, head_dim);
  cp_async_commit();
  load_rows<D>(values, a.v + head.kv, s.kv_stride, rows, seen, head_dim);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();

  const float scale = rsqrtf(float(head_dim)) * kLog2e;  // base-2 logarithms, for exp2f
  const int64_t width = s.heads * s.head_dim;
  for (int i = 0; my_tile(i) < tiles; ++i) {
    const int begin = my_tile(i) * 16, have = min(16, queries - begin);
    const int row_keys[2] = {visible(s, begin + lane / 4), visible(s, begin + lane / 4 + 8)};
    const int tile_keys = visible(s, begin + have - 1);
    uint32_t q[D / 16][4];
    load_fragments<D>(q, a.q + head.q + begin * s.q_stride, s.q_stride, have, head_dim);
    float acc[D / 8][4] = {}, top[2] = {-INFINITY, -INFINITY}, total[2] = {};
#pragma unroll 1
    for (int j = 0; j < tile_keys; j += kKeysAtOnce) {
      float p[kKeysAtOnce / 8][4];
      multiply_transposed<D>(p, q, keys + j * kStride<D>);
      soften(p, top, total, acc, row_keys, j, scale);
      multiply<D>(acc, p, values + j * kStride<D>);
    }
    float inverse[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      total[half] = row_reduce(total[half], Sum());
      inverse[half] = 1.0f / total[half];
      const int r = lane / 4 + half * 8;
      if (lane % 4 == 0 && r < have) a.lse[head.lse + begin + r] = (top[half] + log2f(total[half])) * kLn2;
    }
    store_fragments<D>(a.y + head.y + begin * width, width, acc, inverse, have, head_dim);
  }
}

template <class T, int D>
__global__ void __launch_bounds__(kWarps * 32) whole_backward(AttentionBackward<T> a) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x);
  const int head_dim = int(s.head_dim), lane = lane_of_warp(), queries = int(s.queries), seen = int(s.keys);
  const int query_rows = tokens_padded(queries), key_rows = tokens_padded(seen);
  const int rows = max(query_rows, key_rows);
  const int64_t width = s.heads * s.head_dim;
  DynamicShared memory;
  const Shared<T> one = memory.take<T>(rows * kStride<D>), other = memory.take<T>(rows * kStride<D>);
  SHARED(float, mean, kMost);  // sum(dy y) of each query
  SHARED(float, lse, kMost);   // as a base-2 logarithm
  const float scale = rsqrtf(float(head_dim)), unit[2] = {1, 1};

  load_rows<D>(one, a.k + head.kv, s.kv_stride, key_rows, seen, head_dim);
  load_rows<D>(other, a.v + head.kv, s.kv_stride, key_rows, seen, head_dim);
  cp_async_commit();
  for (int r = warp_of_block(); r < query_rows; r += int(blockDim.x / 32)) {
    float sum = 0;
    if (r < queries)
      for (int c = lane; c < head_dim; c += 32)
        sum += float(a.dy[head.y + r * width + c]) * float(a.y[head.y + r * width + c]);
    sum = warp_reduce(sum, Sum());
    if (lane == 0) mean[r] = sum, lse[r] = r < queries ? a.lse[head.lse + r] * kLog2e : 0.0f;
  }
  cp_async_wait<0>();
  __syncthreads();
  for (int i = 0; my_tile(i) * 16 < query_rows; ++i) {
    const int begin = my_tile(i) * 16, have = min(16, queries - begin),
              tile_keys = visible(s, begin + have - 1);
    const int row_keys[2] = {visible(s, begin + lane / 4), visible(s, begin + lane / 4 + 8)};
    const float my_mean[2] = {mean[begin + lane / 4], mean[begin + lane / 4 + 8]};
    const float my_lse[2] = {lse[begin + lane / 4], lse[begin + lane / 4 + 8]};
    uint32_t q[D / 16][4], dy[D / 16][4];
    load_fragments<D>(q, a.q + head.q + begin * s.q_stride, s.q_stride, have, head_dim);
    load_fragments<D>(dy, a.dy + head.y + begin * width, width, have, head_dim);
    float dq[D / 8][4] = {};
#pragma unroll 1
    for (int j = 0; j < tile_keys; j += 16) {
      float p[2][4], ds[2][4];
      multiply_transposed<D>(p, q, one + j * kStride<D>);
      multiply_transposed<D>(ds, dy, other + j * kStride<D>);
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const bool sees = j + n * 8 + lane % 4 * 2 + e % 2 < row_keys[e / 2];
          const float weight = sees ? exp2f(p[n][e] * (scale * kLog2e) - my_lse[e / 2]) : 0.0f;
          ds[n][e] = scale * weight * (ds[n][e] - my_mean[e / 2]);
        }
      multiply<D>(dq, ds, one + j * kStride<D>);
    }
    store_fragments<D>(a.dq + head.q + begin * s.q_stride, s.q_stride, dq, unit, have, head_dim);
  }

  __syncthreads();  // every warp has read the keys and values
  load_rows<D>(one, a.q + head.q, s.q_stride, query_rows, queries, head_dim);
  load_rows<D>(other, a.dy + head.y, width, query_rows, queries, head_dim);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  for (int i = 0; my_tile(i) * 16 < key_rows; ++i) {
    const int begin = my_tile(i) * 16, have = min(16, seen - begin);
    uint32_t k[D / 16][4], v[kKeepValues<D> ? D / 16 : 1][4];
    load_fragments<D>(k, a.k + head.kv + begin * s.kv_stride, s.kv_stride, have, head_dim);
    const T* const my_values = a.v + head.kv + begin * s.kv_stride;
    if constexpr (kKeepValues<D>) load_fragments<D>(v, my_values, s.kv_stride, have, head_dim);
    float dk[D / 8][4] = {}, dv[D / 8][4] = {};
    int first = 0;  // the first query of the first 16 that see one of these keys
    while (first < query_rows && visible(s, min(first + 16, queries) - 1) <= begin) first += 16;
#pragma unroll 1
    for (int j = first; j < query_rows; j += 16) {
      float p[2][4], ds[2][4];  // (keys, queries); ds is made later, as registers are few
      const auto query = [&](int n, int e) { return j + n * 8 + lane % 4 * 2 + e % 2; };
      multiply_transposed<D>(p, k, one + j * kStride<D>);
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const bool seen_by = begin + lane / 4 + e / 2 * 8 < visible(s, query(n, e));
          p[n][e] = seen_by ? exp2f(p[n][e] * (scale * kLog2e) - lse[query(n, e)]) : 0.0f;
        }
      multiply<D>(dv, p, other + j * kStride<D>);
      if constexpr (kKeepValues<D>) {
        multiply_transposed<D>(ds, v, other + j * kStride<D>);
      } else {
        clear(ds);
#pragma unroll 1
        for (int d = 0; d < D; d += 16) {
          load_fragment(v[0], my_values, s.kv_stride, have, head_dim, d);
          multiply_transposed_step<D>(ds, v[0], other + j * kStride<D>, d);
        }
      }
#pragma unroll
      for (int n = 0; n < 2; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) ds[n][e] = scale * p[n][e] * (ds[n][e] - mean[query(n, e)]);
      multiply<D>(dk, ds, one + j * kStride<D>);
    }
    store_fragments<D>(a.dk + head.kv + begin * s.kv_stride, s.kv_stride, dk, unit, have, head_dim);
    store_fragments<D>(a.dv + head.kv + begin * s.kv_stride, s.kv_stride, dv, unit, have, head_dim);
  }
}

int threads_for(int64_t tokens) { return int(std::min<int64_t>(ceil_div(tokens, 16), kWarps)) * 32; }

}  // namespace

bool attention_whole_takes(const AttentionShape& s) {
  return attention_tiled_takes(s) && s.queries <= kMost && s.keys <= kMost;
}

template <class T>
int64_t attention_whole_shared(const AttentionForward<T>& a) {
  int64_t elements = 0;
  with_depth(a.shape.head_dim,
             [&]<int D>() { elements = 2 * ceil_div(a.shape.keys, kKeysAtOnce) * kKeysAtOnce * kStride<D>; });
  return elements * int64_t(sizeof(T));
}
template <class T>
int64_t attention_whole_shared(const AttentionBackward<T>& a) {
  const int64_t tokens = std::max(a.shape.queries, a.shape.keys);
  int64_t elements = 0;
  with_depth(a.shape.head_dim, [&]<int D>() { elements = 2 * ceil_div(tokens, 16) * 16 * kStride<D>; });
  return elements * int64_t(sizeof(T));
}

template <class T>
void attention_whole(Cuda where, const AttentionForward<T>& a) {
  const AttentionShape& s = a.shape;
  with_depth(s.head_dim, [&]<int D>() {
    launch(where, "attention_whole_forward", whole_forward<T, D>, s.batch * s.heads, threads_for(s.queries),
           size_t(attention_whole_shared(a)), a);
  });
}
template <class T>
void attention_whole(Cuda where, const AttentionBackward<T>& a) {
  const AttentionShape& s = a.shape;
  const int64_t tokens = std::max(s.queries, s.keys);
  with_depth(s.head_dim, [&]<int D>() {
    launch(where, "attention_whole_backward", whole_backward<T, D>, s.batch * s.heads, threads_for(tokens),
           size_t(attention_whole_shared(a)), a);
  });
}

#define INSTANTIATE(T)                                                  \
  template int64_t attention_whole_shared(const AttentionForward<T>&);  \
  template int64_t attention_whole_shared(const AttentionBackward<T>&); \
  template void attention_whole(Cuda, const AttentionForward<T>&);      \
  template void attention_whole(Cuda, const AttentionBackward<T>&);
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
