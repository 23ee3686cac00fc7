// Attention (formulas and shapes: attention.h) by blocks of 32 queries by 32 keys. The scores pass through
// shared memory, so that head_dim may be large: a warp keeps only a slice of the columns of an output (bf16
// and f16, tensor cores) or a few of its rows (f32, fused multiply-adds). No sum crosses blocks: dq has a
// kernel of its own, and so have dk and dv together.
//   forward    a block takes 32 queries and all their keys
//     FLOP:    4 heads queries keys head_dim an image
//     bytes:   s (2 queries + 2 keys queries / 32) heads head_dim an image, s = sizeof(T)
//   backward   for dq, a block takes 32 queries; for dk and dv, a block takes 32 keys
//     FLOP:    14 heads queries keys head_dim an image, 4 of the 14 repeated
// Each block of queries reads the keys and values again, mostly from the L2 cache: the one head of a VQGAN,
// 512 wide over 256 tokens, has 0.5 MB of them. Not measured on a GPU.
#include "kernels/attention/variants.h"
#include "kernels/device/device.h"

namespace dae {

namespace {

constexpr int kRows = 32, kWarps = 8, kThreads = kWarps * 32;
constexpr int kScoreStride = kRows + 1, kWeightStride = kRows + 8;
constexpr float kLog2e = 1.44269504f, kLn2 = 0.693147181f;

// The stride of a row of a tile (32, D) in shared memory, in elements. D is head_dim rounded up; the columns
// past head_dim are zero. A row is 16 bytes longer than D, so that rows at the same column lie in different
// banks.
template <class T, int D>
constexpr int kStride = D + 16 / int(sizeof(T));

// The products of a block, and the part of a sum (32, D) that each thread holds.
template <class T, int D>
struct Products {  // bf16, f16: a warp holds all rows of D / 8 columns
  float acc[2][D / 64][4] = {};

  // Calls f(row, column, value) for each element that this thread holds.
  template <class F>
  __device__ void each(F f) {
    const int lane = lane_of_warp(), row = lane / 4, column = warp_of_block() * (D / 8) + lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < 2; ++m)
#pragma unroll
      for (int n = 0; n < D / 64; ++n)
#pragma unroll
        for (int e = 0; e < 4; ++e) f(m * 16 + row + e / 2 * 8, column + n * 8 + e % 2, acc[m][n][e]);
  }
  // acc += weight (32, 32) x (32, D)
  __device__ void add(Shared<T> weight, Shared<T> x) {
    const int lane = lane_of_warp();
    const int x_at =
        (lane / 8 % 2 * 8 + lane % 8) * kStride<T, D> + warp_of_block() * (D / 8) + lane / 16 * 8;
#pragma unroll
    for (int k = 0; k < kRows; k += 16) {
      uint32_t a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m)
        ldmatrix_x4(a[m], weight + ((m * 16 + lane % 16) * kWeightStride + k + lane / 16 * 8));
#pragma unroll
      for (int n = 0; n < D / 64; n += 2) {
        uint32_t b[4];
        ldmatrix_x4_trans(b, x + (x_at + k * kStride<T, D> + n * 8));
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          mma_m16n8k16<T>(acc[m][n], a[m], {b[0], b[1]});
          mma_m16n8k16<T>(acc[m][n + 1], a[m], {b[2], b[3]});
        }
      }
    }
  }
  // score (32, 32) = a (32, D) b (32, D)^T; each warp makes 16 x 8 of it.
  __device__ static void scores(Shared<float> score, Shared<T> a, Shared<T> b) {
    const int lane = lane_of_warp(), m = warp_of_block() / 4 * 16, n = warp_of_block() % 4 * 8;
    const int a_at = (m + lane % 16) * kStride<T, D> + lane / 16 * 8;
    const int b_at = (n + lane % 8) * kStride<T, D> + lane / 8 % 2 * 8;
    float sum[4] = {};
#pragma unroll 4
    for (int d = 0; d < D; d += 16) {
      uint32_t af[4], bf[2];
      ldmatrix_x4(af, a + (a_at + d));
      ldmatrix_x2(bf, b + (b_at + d));
      mma_m16n8k16<T>(sum, af, bf);
    }
#pragma unroll
    for (int e = 0; e < 4; ++e)
      score[(m + lane / 4 + e / 2 * 8) * kScoreStride + n + lane % 4 * 2 + e % 2] = sum[e];
  }
};

template <int D>
struct Products<float, D> {  // a warp holds 4 rows, a lane every 32nd column
  float acc[4][D / 32] = {};

  template <class F>
  __device__ void each(F f) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int c = 0; c < D / 32; ++c) f(warp_of_block() * 4 + i, lane_of_warp() + 32 * c, acc[i][c]);
  }
  __device__ void add(Shared<float> weight, Shared<float> x) {
    const int row = warp_of_block() * 4;
#pragma unroll 4
    for (int k = 0; k < kRows; ++k)
#pragma unroll
      for (int c = 0; c < D / 32; ++c) {
        const float value = x[k * kStride<float, D> + lane_of_warp() + 32 * c];
#pragma unroll
        for (int i = 0; i < 4; ++i) acc[i][c] += weight[(row + i) * kWeightStride + k] * value;
      }
  }
  __device__ static void scores(Shared<float> score, Shared<float> a, Shared<float> b) {
    const int row = warp_of_block() * 4, lane = lane_of_warp();
    float sum[4] = {};
#pragma unroll 4
    for (int d = 0; d < D; d += 4) {
      const Pack<float> value = load16(b + (lane * kStride<float, D> + d));
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const Pack<float> factor = load16(a + ((row + i) * kStride<float, D> + d));
#pragma unroll
        for (int e = 0; e < 4; ++e) sum[i] += factor.v[e] * value.v[e];
      }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) score[(row + i) * kScoreStride + lane] = sum[i];
  }
};

// Starts the asynchronous copy tile (32, D) = from (have, head_dim); the rest of the tile becomes zero.
template <int D, class T>
__device__ void load_tile(Shared<T> tile, const T* from, int64_t stride, int have, int head_dim) {
  constexpr int pack = Pack<T>::size, packs = D / pack;
#pragma unroll 1
  for (int e = int(threadIdx.x); e < kRows * packs; e += kThreads) {
    const int r = e / packs, c = e % packs * pack;
    const bool inside = r < have && c < head_dim;
    cp_async(tile + (r * kStride<T, D> + c), inside ? from + r * stride + c : from, inside ? 16 : 0);
  }
}
__device__ inline void wait_for_tiles() {
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
}

// to (have, head_dim) = sum, through a tile that no other thread reads or writes meanwhile.
template <class T, int D>
__device__ void store(T* to, int64_t stride, Products<T, D>& sum, Shared<T> tile, int have, int head_dim) {
  __syncthreads();
  sum.each([&](int row, int column, float v) { tile[row * kStride<T, D> + column] = T(v); });
  __syncthreads();
  constexpr int pack = Pack<T>::size, packs = D / pack;
#pragma unroll 1
  for (int e = int(threadIdx.x); e < kRows * packs; e += kThreads) {
    const int r = e / packs, c = e % packs * pack;
    if (r < have && c < head_dim) store16(to + r * stride + c, load16(tile + (r * kStride<T, D> + c)));
  }
}

// Returns how many keys query i sees: none if there is no such query.
__device__ inline int visible(const AttentionShape& s, int i) {
  return i < s.queries ? int(s.visible(i)) : 0;
}

template <class T, int D>
__global__ void __launch_bounds__(kThreads, 1) blocks_forward(AttentionForward<T> a) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x);
  const int begin = int(blockIdx.y) * kRows, have = min(kRows, int(s.queries) - begin),
            head_dim = int(s.head_dim);
  const int keys = visible(s, begin + have - 1), lane = lane_of_warp(), my_row = warp_of_block() * 4;
  constexpr int tile = kRows * kStride<T, D>;
  DynamicShared memory;
  const Shared<T> q = memory.take<T>(tile), k = memory.take<T>(tile), v = memory.take<T>(tile);
  const Shared<T> p = memory.take<T>(kRows * kWeightStride);
  const Shared<float> score = memory.take<float>(kRows * kScoreStride), factor = memory.take<float>(kRows);
  load_tile<D>(q, a.q + head.q + begin * s.q_stride, s.q_stride, have, head_dim);

  const float scale = rsqrtf(float(head_dim)) * kLog2e;  // base-2 logarithms, for exp2f
  Products<T, D> y;
  float top[4], total[4] = {};
  for (float& t : top) t = -INFINITY;
  for (int j = 0; j < keys; j += kRows) {
    __syncthreads();
    load_tile<D>(k, a.k + head.kv + j * s.kv_stride, s.kv_stride, keys - j, head_dim);
    load_tile<D>(v, a.v + head.kv + j * s.kv_stride, s.kv_stride, keys - j, head_dim);
    wait_for_tiles();
    y.scores(score, q, k);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = my_row + i;
      const float x =
          j + lane < visible(s, begin + row) ? score[row * kScoreStride + lane] * scale : -INFINITY;
      const float highest = fmaxf(top[i], warp_reduce(x, Maximum()));
      // Every real row sees the first key, so only padding has no highest score.
      const float shift = highest == -INFINITY ? 0.0f : highest, shrink = exp2f(top[i] - shift),
                  e = exp2f(x - shift);
      top[i] = highest, total[i] = total[i] * shrink + warp_reduce(e, Sum());
      p[row * kWeightStride + lane] = T(e);
      if (lane == 0) factor[row] = shrink;
    }
    __syncthreads();
    y.each([&](int row, int, float& value) { value *= factor[row]; });
    y.add(p, v);
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (lane == 0) {
      factor[my_row + i] = 1.0f / total[i];
      if (my_row + i < have) a.lse[head.lse + begin + my_row + i] = (top[i] + log2f(total[i])) * kLn2;
    }
  __syncthreads();
  y.each([&](int row, int, float& value) { value *= factor[row]; });
  const int64_t width = s.heads * s.head_dim;
  store(a.y + head.y + begin * width, width, y, k, have, head_dim);
}

// Writes dq, and mean = sum(dy y), (batch, heads, queries), which blocks_backward_kv reads.
template <class T, int D>
__global__ void __launch_bounds__(kThreads) blocks_backward_q(AttentionBackward<T> a, float* mean) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x);
  const int begin = int(blockIdx.y) * kRows, have = min(kRows, int(s.queries) - begin),
            head_dim = int(s.head_dim);
  const int keys = visible(s, begin + have - 1), lane = lane_of_warp(), my_row = warp_of_block() * 4;
  const int64_t width = s.heads * s.head_dim, y_at = head.y + begin * width;
  constexpr int tile = kRows * kStride<T, D>;
  DynamicShared memory;
  const Shared<T> q = memory.take<T>(tile), k = memory.take<T>(tile), v = memory.take<T>(tile);
  const Shared<T> dy = memory.take<T>(tile), ds = memory.take<T>(kRows * kWeightStride);
  const Shared<float> score = memory.take<float>(kRows * kScoreStride),
                      dp = memory.take<float>(kRows * kScoreStride);
  load_tile<D>(q, a.q + head.q + begin * s.q_stride, s.q_stride, have, head_dim);
  load_tile<D>(dy, a.dy + y_at, width, have, head_dim);
  wait_for_tiles();
  float my_mean[4] = {}, lse[4] = {};
#pragma unroll
  for (int i = 0; i < 4; ++i)
    if (my_row + i < have) {
      const int64_t row = (my_row + i) * width;
      for (int c = lane; c < head_dim; c += 32)
        my_mean[i] += float(dy[(my_row + i) * kStride<T, D> + c]) * float(a.y[y_at + row + c]);
      my_mean[i] = warp_reduce(my_mean[i], Sum());
      lse[i] = a.lse[head.lse + begin + my_row + i] * kLog2e;
      if (lane == 0) mean[head.lse + begin + my_row + i] = my_mean[i];
    }

  const float scale = rsqrtf(float(head_dim));
  Products<T, D> dq;
  for (int j = 0; j < keys; j += kRows) {
    __syncthreads();
    load_tile<D>(k, a.k + head.kv + j * s.kv_stride, s.kv_stride, keys - j, head_dim);
    load_tile<D>(v, a.v + head.kv + j * s.kv_stride, s.kv_stride, keys - j, head_dim);
    wait_for_tiles();
    dq.scores(score, q, k);
    dq.scores(dp, dy, v);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int row = my_row + i, at = row * kScoreStride + lane;
      const float p =
          j + lane < visible(s, begin + row) ? exp2f(score[at] * (scale * kLog2e) - lse[i]) : 0.0f;
      ds[row * kWeightStride + lane] = T(scale * p * (dp[at] - my_mean[i]));
    }
    __syncthreads();
    dq.add(ds, k);
  }
  store(a.dq + head.q + begin * s.q_stride, s.q_stride, dq, v, have, head_dim);
}

template <class T, int D>
__global__ void __launch_bounds__(kThreads) blocks_backward_kv(AttentionBackward<T> a, const float* mean) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x);
  const int begin = int(blockIdx.y) * kRows, have = min(kRows, int(s.keys) - begin),
            head_dim = int(s.head_dim);
  const int queries = int(s.queries), lane = lane_of_warp(), my_row = warp_of_block() * 4;
  const int64_t width = s.heads * s.head_dim, kv_at = head.kv + begin * s.kv_stride;
  constexpr int tile = kRows * kStride<T, D>;
  DynamicShared memory;
  const Shared<T> q = memory.take<T>(tile), k = memory.take<T>(tile), v = memory.take<T>(tile);
  const Shared<T> dy = memory.take<T>(tile), ds = memory.take<T>(kRows * kWeightStride);
  const Shared<T> p = memory.take<T>(kRows * kWeightStride);
  const Shared<float> score = memory.take<float>(kRows * kScoreStride),
                      dp = memory.take<float>(kRows * kScoreStride);
  load_tile<D>(k, a.k + kv_at, s.kv_stride, have, head_dim);
  load_tile<D>(v, a.v + kv_at, s.kv_stride, have, head_dim);

  const float scale = rsqrtf(float(head_dim));
  Products<T, D> dk, dv;
  int i = 0;  // the first query of the first block that sees one of these keys
  while (visible(s, min(i + kRows, queries) - 1) <= begin) i += kRows;
  for (; i < queries; i += kRows) {
    __syncthreads();
    load_tile<D>(q, a.q + head.q + i * s.q_stride, s.q_stride, queries - i, head_dim);
    load_tile<D>(dy, a.dy + head.y + i * width, width, queries - i, head_dim);
    wait_for_tiles();
    dk.scores(score, k, q);  // (keys, queries)
    dk.scores(dp, v, dy);
    const int sees = visible(s, i + lane);
    const float my_mean = sees ? mean[head.lse + i + lane] : 0.0f;
    const float lse = sees ? a.lse[head.lse + i + lane] * kLog2e : 0.0f;
    __syncthreads();
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const int row = my_row + r, at = row * kScoreStride + lane;
      const float e = begin + row < sees ? exp2f(score[at] * (scale * kLog2e) - lse) : 0.0f;
      p[row * kWeightStride + lane] = T(e);
      ds[row * kWeightStride + lane] = T(scale * e * (dp[at] - my_mean));
    }
    __syncthreads();
    dv.add(p, dy);
    dk.add(ds, q);
  }
  store(a.dk + kv_at, s.kv_stride, dk, k, have, head_dim);
  store(a.dv + kv_at, s.kv_stride, dv, v, have, head_dim);
}

// Calls f.template operator()<D>() with the smallest D that is at least head_dim.
template <class T, class F>
void with_depth(int64_t head_dim, F f) {
  if constexpr (std::is_same_v<T, float>) {
    if (head_dim <= 32) f.template operator()<32>();
    else if (head_dim <= 64) f.template operator()<64>();
    else if (head_dim <= 96) f.template operator()<96>();
    else if (head_dim <= 128) f.template operator()<128>();
    else f.template operator()<256>();
  } else {
    if (head_dim <= 256) f.template operator()<256>();
    else f.template operator()<512>();
  }
}

// Returns the shared memory of a block with the given numbers of tiles (32, D), weights and scores.
template <class T>
int64_t shared_bytes(int64_t head_dim, int tiles, int weights, int scores) {
  int depth = 0;
  with_depth<T>(head_dim, [&]<int D>() { depth = D; });
  return tiles * kRows * (depth * int(sizeof(T)) + 16) + weights * kRows * kWeightStride * int(sizeof(T)) +
         scores * kRows * kScoreStride * 4 + kRows * 4;
}

}  // namespace

template <class T>
bool attention_blocks_takes(const AttentionShape& s) {
  const int64_t pack = Pack<T>::size, most = std::is_same_v<T, float> ? 256 : 512;
  return s.head_dim <= most && s.head_dim % pack == 0 && s.q_stride % pack == 0 && s.kv_stride % pack == 0;
}

template <class T>
int64_t attention_blocks_shared(const AttentionForward<T>& a) {
  return shared_bytes<T>(a.shape.head_dim, 3, 1, 1);
}
template <class T>
int64_t attention_blocks_shared(const AttentionBackward<T>& a) {
  return shared_bytes<T>(a.shape.head_dim, 4, 2, 2);  // the kernel of dk and dv; that of dq needs less
}

template <class T>
void attention_blocks(Cuda where, const AttentionForward<T>& a) {
  const AttentionShape& s = a.shape;
  with_depth<T>(s.head_dim, [&]<int D>() {
    launch(where, "attention_blocks_forward", blocks_forward<T, D>,
           Grid(s.batch * s.heads, ceil_div(s.queries, kRows)), kThreads, size_t(attention_blocks_shared(a)),
           a);
  });
}

template <class T>
void attention_blocks(Cuda where, const AttentionBackward<T>& a) {
  const AttentionShape& s = a.shape;
  float* mean = static_cast<float*>(workspace(where, size_t(s.batch * s.heads * s.queries) * sizeof(float)));
  with_depth<T>(s.head_dim, [&]<int D>() {
    launch(where, "attention_blocks_backward_q", blocks_backward_q<T, D>,
           Grid(s.batch * s.heads, ceil_div(s.queries, kRows)), kThreads,
           size_t(shared_bytes<T>(s.head_dim, 4, 1, 2)), a, mean);
    launch(where, "attention_blocks_backward_kv", blocks_backward_kv<T, D>,
           Grid(s.batch * s.heads, ceil_div(s.keys, kRows)), kThreads, size_t(attention_blocks_shared(a)), a,
           mean);
  });
}

#define INSTANTIATE(T)                                                   \
  template bool attention_blocks_takes<T>(const AttentionShape&);        \
  template int64_t attention_blocks_shared(const AttentionForward<T>&);  \
  template int64_t attention_blocks_shared(const AttentionBackward<T>&); \
  template void attention_blocks(Cuda, const AttentionForward<T>&);      \
  template void attention_blocks(Cuda, const AttentionBackward<T>&);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
