// Tiled products y (m, n) = sum_p a(i, p) b(p, j). The matrices a and b are stored, or they are gathered from
// images while they are loaded. Matmul and all three convolutions are this product with different sources.
//
// A source is a matrix of `rows` by `columns`, contiguous along its columns and zero outside. It has:
//   Row row(int), Column column(int)   what locates a row or a column; loops keep the one that stays the same
//   const T* at(Row, Column)           the element; null stands for a zero. If `aligned`, 16 bytes can be
//                                      read from there
//   const T* data; bool aligned
// An operand is K-major if p runs along the columns of its source (Major::k), otherwise p runs along its rows
// (Major::mn).
//
// A problem has a type Type, constants kAMajor and kBMajor, and:
//   int items, m, n   the number of products, and the most rows and columns that one of them has
//   item(z)           product z: the sources a, b; m, n; the range [begin, end) of p, where begin is a
//                     multiple of kTileK; and either Y* row(int), the row of y, with `beta`, `bias` and
//                     `aligned`, or `finish` (epilogue.cuh)
#pragma once
#include <algorithm>

#include "kernels/matmul/epilogue.cuh"

namespace dae {

enum class Major { k, mn };

// A source: a row-major matrix in memory.
template <class T>
struct StoredMatrix {
  using Type = T;
  using Row = const T*;
  using Column = int;
  const T* data;
  int rows, columns;
  bool aligned;
  __device__ Row row(int r) const { return r < rows ? data + int64_t(r) * columns : nullptr; }
  __device__ Column column(int c) const { return c; }
  __device__ const T* at(Row r, Column c) const { return r && c < columns ? r + c : nullptr; }
};

constexpr int kTile = 128, kTileK = 32, kTileThreads = 256;

// Returns the tile with the given index. The order goes by groups of eight rows of tiles, so that tiles that
// run at the same time share what they read.
struct TileAt {
  int row, column;  // of the first element
};
__device__ inline TileAt tile_at(int tile, int tiles_m, int tiles_n) {
  constexpr int kGroup = 8;
  const int first = tile / (kGroup * tiles_n) * kGroup, height = min(kGroup, tiles_m - first);
  const int in_group = tile % (kGroup * tiles_n);
  return {(first + in_group % height) * kTile, in_group / height * kTile};
}

// Writes y = v + bias + beta y for `count` values of row r from column c on.
template <class Item>
__device__ inline void write_plain_row(const Item& item, int r, int c, const float* v, int count) {
  auto* y = item.row(r) + c;
  using Y = std::remove_reference_t<decltype(*y)>;
  constexpr int kSize = Pack<Y>::size;
  const auto value = [&](int e, float before) {
    float sum = v[e];
    if (item.bias) sum += item.bias[c + e];
    return Y(item.beta == 0 ? sum : sum + item.beta * before);
  };
  if (item.aligned && count % kSize == 0) {
#pragma unroll
    for (int p = 0; p < count; p += kSize) {
      if (c + p >= item.n) break;
      Pack<Y> out{};
      if (item.beta != 0) out = load16(y + p);
#pragma unroll
      for (int e = 0; e < kSize; ++e) out.v[e] = value(p + e, item.beta == 0 ? 0.0f : float(out.v[e]));
      store16(y + p, out);
    }
  } else {
    for (int e = 0; e < count && c + e < item.n; ++e) y[e] = value(e, item.beta == 0 ? 0.0f : float(y[e]));
  }
}
// Writes `count` values by the item's `finish` if it has one, otherwise by write_plain_row.
template <class Item>
__device__ inline void write_row(const Item& item, int r, int c, const float* v, int count) {
  if constexpr (requires { item.finish; }) item.finish.row(r, c, v, count);
  else write_plain_row(item, r, c, v, count);
}

// ---- 16-bit types: tensor cores of sm_80 ----

// Loads the tiles of one operand into shared memory: 128 by 32 (K-major) or 32 by 128. The 16-byte chunks of
// a row are swizzled, so that the eight rows that ldmatrix reads at once lie in different banks.
template <class Source, Major kMajor>
class MmaTile {
 public:
  using T = typename Source::Type;
  static constexpr int kChunks = kMajor == Major::k ? kTileK / 8 : kTile / 8;  // of 16 bytes, in a row
  static constexpr int kStep = kTileThreads / kChunks;  // rows between the two chunks of a thread

  // `first` is the first row (for a) or column (for b) of y in the tile.
  __device__ MmaTile(const Source& source, int first) : source_(source), first_(first) {
    if constexpr (kMajor == Major::k) {
#pragma unroll
      for (int i = 0; i < 2; ++i) row_[i] = source.row(first + my_row() + i * kStep);
    } else {
      column_ = source.column(first + my_chunk() * 8);
    }
  }
  // Returns the offset of a chunk in the tile.
  __device__ static int place(int r, int chunk) {
    return kMajor == Major::k ? r * kTileK + (chunk ^ (r / 2 % 4)) * 8 : r * kTile + (chunk ^ (r % 8)) * 8;
  }
  // Starts the copy of columns (K-major) or rows k to k + 31 of the source to `tile`.
  __device__ void load(Shared<T> tile, int k) {
    if constexpr (kMajor == Major::k) column_ = source_.column(k + my_chunk() * 8);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if constexpr (kMajor == Major::mn) row_[i] = source_.row(k + my_row() + i * kStep);
      const auto to = tile + place(my_row() + i * kStep, my_chunk());
      if (source_.aligned) {
        const T* from = source_.at(row_[i], column_);
        cp_async(to, from ? from : source_.data, from ? 16 : 0);
      } else {
        const int first = (kMajor == Major::k ? k : first_) + my_chunk() * 8;
        Pack<T> pack;
#pragma unroll
        for (int e = 0; e < 8; ++e) {
          const T* from = source_.at(row_[i], source_.column(first + e));
          pack.v[e] = from ? *from : T(0);
        }
        store16(to, pack);
      }
    }
  }
  // Loads operand a (16, 16) of mma_m16n8k16: rows m to m + 15 of the tile, p from 16 kk on.
  __device__ static void fragment_a(uint32_t (&f)[4], Shared<T> tile, int m, int kk) {
    const int lane = lane_of_warp();
    if constexpr (kMajor == Major::k) ldmatrix_x4(f, tile + place(m + lane % 16, 2 * kk + lane / 16));
    else ldmatrix_x4_trans(f, tile + place(16 * kk + lane % 8 + lane / 16 * 8, m / 8 + lane / 8 % 2));
  }
  // Loads two operands b (16, 8) of mma_m16n8k16: columns n to n + 15 of y, p from 16 kk on.
  __device__ static void fragment_b(uint32_t (&f)[2][2], Shared<T> tile, int n, int kk) {
    const int lane = lane_of_warp();
    uint32_t r[4];
    if constexpr (kMajor == Major::k)
      ldmatrix_x4(r, tile + place(n + lane % 8 + lane / 16 * 8, 2 * kk + lane / 8 % 2));
    else ldmatrix_x4_trans(r, tile + place(16 * kk + lane % 16, n / 8 + lane / 16));
    f[0][0] = r[0], f[0][1] = r[1], f[1][0] = r[2], f[1][1] = r[3];
  }

 private:
  __device__ static int my_row() { return int(threadIdx.x) / kChunks; }
  __device__ static int my_chunk() { return int(threadIdx.x) % kChunks; }
  Source source_;
  int first_;
  typename Source::Row row_[2];
  typename Source::Column column_;
};

constexpr int kMmaStages = 4, kMmaStage = kTile * kTileK;
constexpr int kStagedStride = kTile + 4;  // in floats; the padding spreads the rows of a warp over the banks
constexpr int kMmaShared = kTile * kStagedStride * 4;
static_assert(kMmaShared >= 2 * kMmaStages * kMmaStage * 2);

// Each of the eight warps makes 64 by 32 of the tile. cp.async fills a ring of four stages, three ahead. y
// goes through shared memory, so that a thread writes eight consecutive values.
template <class Problem>
__global__ void __launch_bounds__(kTileThreads)
    mma_tiles(const __grid_constant__ Problem problem, int tiles_m, int tiles_n) {
  using T = typename Problem::Type;
  const auto item = problem.item(int(blockIdx.z));
  const TileAt at = tile_at(int(blockIdx.x), tiles_m, tiles_n);
  if (at.row >= item.m || at.column >= item.n) return;
  using TileA = MmaTile<decltype(item.a), Problem::kAMajor>;
  using TileB = MmaTile<decltype(item.b), Problem::kBMajor>;
  TileA tile_a(item.a, at.row);
  TileB tile_b(item.b, at.column);

  DynamicShared shared;
  const auto staged = shared.take<float>(kTile * kStagedStride, 1024);
  const auto ring = staged.template as<T>();
  const auto stage_a = [&](int step) { return ring.slice(step % kMmaStages * 2 * kMmaStage, kMmaStage); };
  const auto stage_b = [&](int step) {
    return ring.slice((step % kMmaStages * 2 + 1) * kMmaStage, kMmaStage);
  };
  const int steps = int(ceil_div(item.end - item.begin, kTileK));
  const auto load = [&](int step) {  // past the end it commits an empty group, so that the count stays right
    if (step < steps) {
      tile_a.load(stage_a(step), item.begin + step * kTileK);
      tile_b.load(stage_b(step), item.begin + step * kTileK);
    }
    cp_async_commit();
  };

  const int warp_row = warp_of_block() / 4 * 64, warp_column = warp_of_block() % 4 * 32;
  float d[4][4][4] = {};
#pragma unroll
  for (int s = 0; s < kMmaStages - 1; ++s) load(s);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<kMmaStages - 2>();
    __syncthreads();  // this step's tiles have arrived, and no warp reads the last step's any more
    load(step + kMmaStages - 1);
#pragma unroll
    for (int kk = 0; kk < kTileK / 16; ++kk) {
      uint32_t a[4][4], b[2][2][2];
#pragma unroll
      for (int i = 0; i < 4; ++i) TileA::fragment_a(a[i], stage_a(step), warp_row + 16 * i, kk);
#pragma unroll
      for (int j = 0; j < 2; ++j) TileB::fragment_b(b[j], stage_b(step), warp_column + 16 * j, kk);
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) mma_m16n8k16<T>(d[i][j], a[i], b[j / 2][j % 2]);
    }
  }

  cp_async_wait<0>();
  __syncthreads();
  const int lane = lane_of_warp();
#pragma unroll
  for (int i = 0; i < 4; ++i)
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e)
        staged[(warp_row + 16 * i + lane / 4 + 8 * (e / 2)) * kStagedStride + warp_column + 8 * j +
               2 * (lane % 4) + e % 2] = d[i][j][e];
  __syncthreads();
  for (int i = int(threadIdx.x); i < kTile * kTile / 8; i += kTileThreads) {
    const int r = i / (kTile / 8), c = i % (kTile / 8) * 8;
    if (at.row + r >= item.m || at.column + c >= item.n) continue;
    const Pack<float> low = load16(staged + (r * kStagedStride + c)),
                      high = load16(staged + (r * kStagedStride + c + 4));
    const float v[8] = {low.v[0], low.v[1], low.v[2], low.v[3], high.v[0], high.v[1], high.v[2], high.v[3]};
    write_row(item, at.row + r, at.column + c, v, 8);
  }
}

// ---- f32: multiply-adds ----

constexpr int kFmaK = 16, kFmaStride = kTile + 4;

// Loads the tiles of one operand, (16, 128) in shared memory whatever its source: `fetch` brings the next
// tile to registers, `put` stores it.
template <class Source, Major kMajor>
class FmaTile {
 public:
  static constexpr int kChunks = kMajor == Major::k ? kFmaK / 4 : kTile / 4;
  static constexpr int kStep = kTileThreads / kChunks;

  __device__ FmaTile(const Source& source, int first) : source_(source), first_(first) {
    if constexpr (kMajor == Major::k) {
#pragma unroll
      for (int i = 0; i < 2; ++i) row_[i] = source.row(first + my_row() + i * kStep);
    } else {
      column_ = source.column(first + my_chunk() * 4);
    }
  }
  __device__ void fetch(int k) {
    if constexpr (kMajor == Major::k) column_ = source_.column(k + my_chunk() * 4);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      if constexpr (kMajor == Major::mn) row_[i] = source_.row(k + my_row() + i * kStep);
      if (source_.aligned) {
        const float* from = source_.at(row_[i], column_);
        next_[i] = from ? load16(from) : Pack<float>{};
      } else {
        const int first = (kMajor == Major::k ? k : first_) + my_chunk() * 4;
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          const float* from = source_.at(row_[i], source_.column(first + e));
          next_[i].v[e] = from ? *from : 0.0f;
        }
      }
    }
  }
  __device__ void put(Shared<float> tile) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int r = my_row() + i * kStep, c = my_chunk() * 4;
      if constexpr (kMajor == Major::mn) store16(tile + (r * kFmaStride + c), next_[i]);
      else
#pragma unroll
        for (int e = 0; e < 4; ++e) tile[(c + e) * kFmaStride + r] = next_[i].v[e];
    }
  }

 private:
  __device__ static int my_row() { return int(threadIdx.x) / kChunks; }
  __device__ static int my_chunk() { return int(threadIdx.x) % kChunks; }
  Source source_;
  int first_;
  typename Source::Row row_[2];
  typename Source::Column column_;
  Pack<float> next_[2];
};

// A thread makes 8 by 8 of y: four rows and four columns, and again those 64 further on.
template <class Problem>
__global__ void __launch_bounds__(kTileThreads)
    fma_tiles(const __grid_constant__ Problem problem, int tiles_m, int tiles_n) {
  const auto item = problem.item(int(blockIdx.z));
  const TileAt at = tile_at(int(blockIdx.x), tiles_m, tiles_n);
  if (at.row >= item.m || at.column >= item.n) return;
  FmaTile<decltype(item.a), Problem::kAMajor> tile_a(item.a, at.row);
  FmaTile<decltype(item.b), Problem::kBMajor> tile_b(item.b, at.column);
  SHARED(float, sa, kFmaK* kFmaStride);
  SHARED(float, sb, kFmaK* kFmaStride);
  const int row = int(threadIdx.x) / 16 * 4, column = int(threadIdx.x) % 16 * 4;
  float d[8][8] = {};
  if (item.begin < item.end) tile_a.fetch(item.begin), tile_b.fetch(item.begin);
  for (int k = item.begin; k < item.end; k += kFmaK) {
    __syncthreads();
    tile_a.put(sa), tile_b.put(sb);
    __syncthreads();
    if (k + kFmaK < item.end) tile_a.fetch(k + kFmaK), tile_b.fetch(k + kFmaK);
#pragma unroll
    for (int p = 0; p < kFmaK; ++p) {
      Pack<float> a[2], b[2];
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        a[h] = load16(sa + (p * kFmaStride + row + 64 * h));
        b[h] = load16(sb + (p * kFmaStride + column + 64 * h));
      }
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j) d[i][j] = fmaf(a[i / 4].v[i % 4], b[j / 4].v[j % 4], d[i][j]);
    }
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int r = at.row + row + i % 4 + 64 * (i / 4);
    if (r >= item.m) continue;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int c = at.column + column + 64 * h;
      if (c < item.n) write_row(item, r, c, d[i] + 4 * h, 4);
    }
  }
}

// ---- launching ----

// Runs all items of the problem: on tensor cores for 16-bit types, by fused multiply-adds for f32.
template <class Problem>
void multiply_tiles(Cuda where, const char* name, const Problem& problem) {
  const int tiles_m = int(ceil_div(problem.m, kTile)), tiles_n = int(ceil_div(problem.n, kTile));
  const Grid grid(int64_t(tiles_m) * tiles_n, 1, problem.items);
  if constexpr (std::is_same_v<typename Problem::Type, float>)
    launch(where, name, fma_tiles<Problem>, grid, kTileThreads, 0, problem, tiles_m, tiles_n);
  else launch(where, name, mma_tiles<Problem>, grid, kTileThreads, kMmaShared, problem, tiles_m, tiles_n);
}

// Into how many parts the sum over k of one product is cut. It is cut if y has too few tiles to fill a
// device. The number depends on the shape alone, so that every device adds in the same order.
struct Splits {
  Splits(int64_t batch, int64_t m, int64_t n, int64_t k) {
    constexpr int64_t kEnough = 128, kShortest = 512;
    const int64_t tiles = std::max<int64_t>(ceil_div(m, kTile) * ceil_div(n, kTile), 1);
    const int64_t wanted =
        batch == 1 ? std::clamp<int64_t>(k / kShortest, 1, std::max(kEnough / tiles, int64_t{1})) : 1;
    depth = int(ceil_div(ceil_div(k, wanted), 64) * 64);
    count = k > 0 ? int(ceil_div(k, depth)) : 1;
  }
  int count, depth;  // the number of parts and their length, a multiple of 64; the last part may be shorter
};

// Calls finish(i, sum over the parts of element i).
template <class F>
__global__ void __launch_bounds__(256)
    sum_splits_kernel(F finish, const float* partial, int64_t size, int splits) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= size) return;
  float sum = 0;
  for (int s = 0; s < splits; ++s) sum += partial[s * size + i];
  finish(i, sum);
}
// Calls product(parts), which writes parts (splits, size), then finish(i, sum of the parts) for each element.
template <class F, class P>
void add_splits(Cuda where, int64_t size, int splits, F finish, P product) {
  float* parts = static_cast<float*>(workspace(where, size_t(splits * size) * sizeof(float)));
  product(parts);
  launch(where, "sum_splits", sum_splits_kernel<F>, ceil_div(size, 256), 256, 0, finish, parts, size, splits);
}
// y (size) = product + beta y. With one split, product(y, beta) writes straight into y. Otherwise
// product(parts, 0) writes all parts (splits, size) to an f32 workspace, and these are added in order.
template <class Y, class F>
void in_splits(Cuda where, Y* y, int64_t size, int splits, float beta, F product) {
  if (splits == 1) return product(y, beta);
  add_splits(where, size, splits, Blend<Y>{y, beta}, [&](float* parts) { product(parts, 0.0f); });
}

}  // namespace dae
