// y[q, i, j] = sum_p op(a)[q, i, p] op(b)[q, p, j] + beta y[q, i, j] on Hopper, bf16 and f16, by tiles of 128
// by 128. Shapes as in matmul.h. Beside the portable variant (mma.cu) it keeps the tensor cores fed without
// threads that copy: TMA brings tiles of 64 of p to a ring of four stages; warpgroup 0 only asks for them,
// warpgroups 1 and 2 multiply 64 rows each from shared memory by wgmma, one group of instructions always in
// flight. Blocks stay and take every gridDim-th tile, so that the next tile's loads run under this one's
// epilogue. a and b are read n / 128 and m / 128 times, mostly from the second-level cache, 2 bytes an
// element; 64 FLOPs a byte. Long sums over few tiles are cut into parts as in mma.cu. TMA asks for operands
// on 16-byte boundaries with rows of a multiple of 16 bytes. Not measured on a GPU yet.
#include "kernels/matmul/mma.h"

namespace {

constexpr int kDepth = 64, kStages = 4, kStage = kTile * kDepth, kThreads = 384;
constexpr int kStagedRows = 64 * kStagedStride;  // of a consumer's y, in floats
constexpr size_t kShared = 2 * kStages * kStage * 2 + 2 * kStagedRows * 4 + 2 * kStages * sizeof(Mbarrier);

// Where sums go: into y (items or parts, m, n), plainly ...
template <class Y>
struct Plain {
  Y* y;
  int n;
  float beta;
  bool aligned;
  const float* bias;
  __device__ Plain of(int64_t z, int m) const { return {y + z * m * n, n, beta, aligned, bias}; }
  __device__ Y* row(int r) const { return y + int64_t(r) * n; }
};
// ... or through an epilogue.
template <class T>
struct Finished {
  Finish<T> finish;
  __device__ const Finished& of(int64_t, int) const { return *this; }
};

template <class Out>
struct Task {
  Out out;
  int items, m, n, k, splits, depth, tiles_m, tiles_n;
};

struct Part {  // one tile of one item's or part's y
  TileAt at;
  int z, q, begin, end;
  __device__ int steps() const { return (end - begin + kDepth - 1) / kDepth; }
};

template <class Out>
__device__ inline Part part_of(const Task<Out>& t, int unit) {
  const int tiles = t.tiles_m * t.tiles_n, z = unit / tiles, q = z / t.splits;
  const int begin = (z - q * t.splits) * t.depth;
  return {tile_at(unit - z * tiles, t.tiles_m, t.tiles_n), z, q, begin, min(t.k, begin + t.depth)};
}

// A tile of 128 by 64 comes as it is stored: as one box of 128 rows, or as two of 64 rows of p.
template <Major kMajor, class T>
__device__ inline void load_tile(Shared<T> to, const TensorMap& map, Shared<Mbarrier> full, int q, int first,
                                 int p) {
  if constexpr (kMajor == Major::k) {
    tma_load(to, map, full, q, first, p);
  } else {
    tma_load(to.slice(0, kStage / 2), map, full, q, p, first);
    tma_load(to.slice(kStage / 2, kStage / 2), map, full, q, p, first + 64);
  }
}
// Rows (columns) from `first` on of that tile, 16 of p from p on.
template <Major kMajor, class T>
__device__ inline auto operand(Shared<T> tile, int first, int p) {
  if constexpr (kMajor == Major::k) return operand_k_major(tile + first * kDepth, p);
  else return operand_mn_major(tile + first * kDepth, p, kStage / 2);
}

template <class Out, class T, Major kA, Major kB>
__global__ void __launch_bounds__(kThreads)
    wgmma_tiles(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
                const __grid_constant__ Task<Out> task) {
  DynamicShared shared;
  const auto ring_a = shared.take<T>(kStages * kStage, 1024), ring_b = shared.take<T>(kStages * kStage, 1024);
  const auto all_staged = shared.take<float>(2 * kStagedRows);
  const auto full = shared.take<Mbarrier>(kStages), empty = shared.take<Mbarrier>(kStages);
  const int group = warp_of_block() / 4, units = task.items * task.tiles_m * task.tiles_n;
  if (threadIdx.x == 0) {
    for (int s = 0; s < kStages; ++s) mbarrier_init(full + s, 1), mbarrier_init(empty + s, 2);
    fence_mbarrier_init();
  }
  __syncthreads();

  if (group == 0) {
    setmaxnreg_decrease<40>();
    if (warp_of_block() != 0 || !elect_one()) return;
    int i = 0;  // steps over all tiles
    for (int unit = int(blockIdx.x); unit < units; unit += int(gridDim.x)) {
      const Part part = part_of(task, unit);
      for (int p = part.begin; p < part.end; p += kDepth, ++i) {
        const int s = i % kStages;
        mbarrier_wait(empty + s, (i / kStages + 1) % 2);
        mbarrier_arrive_expect_tx(full + s, 2 * kStage * int(sizeof(T)));
        load_tile<kA>(ring_a.slice(s * kStage, kStage), a, full + s, part.q, part.at.row, p);
        load_tile<kB>(ring_b.slice(s * kStage, kStage), b, full + s, part.q, part.at.column, p);
      }
    }
    return;
  }

  setmaxnreg_increase<232>();
  const int first_row = (group - 1) * 64, lane = lane_of_warp();
  const auto staged = all_staged.slice((group - 1) * kStagedRows, kStagedRows);
  const bool releases = threadIdx.x % 128 == 0;
  int i = 0;
  for (int unit = int(blockIdx.x); unit < units; unit += int(gridDim.x)) {
    const Part part = part_of(task, unit);
    const int steps = part.steps();
    float d[kTile / 2];
    for (int step = 0; step < steps; ++step, ++i) {
      const int s = i % kStages;
      mbarrier_wait(full + s, i / kStages % 2);
      wgmma_fence(d);
#pragma unroll
      for (int p = 0; p < kDepth; p += 16)
        wgmma_m64k16(d, operand<kA>(ring_a.slice(s * kStage, kStage), first_row, p),
                     operand<kB>(ring_b.slice(s * kStage, kStage), 0, p), step > 0 || p > 0);
      wgmma_commit();
      wgmma_wait<1>();
      if (step > 0 && releases) mbarrier_arrive(empty + (i - 1) % kStages);
    }
    wgmma_wait<0>(d);
    if (releases) mbarrier_arrive(empty + (i - 1) % kStages);

    const auto& out = task.out.of(part.z, task.m);
    barrier_sync(group, 128);  // the last tile's rows have been read
    const int row = threadIdx.x % 128 / 32 * 16 + lane / 4;
#pragma unroll
    for (int j = 0; j < kTile / 2; ++j)
      staged[(row + j % 4 / 2 * 8) * kStagedStride + j / 4 * 8 + 2 * (lane % 4) + j % 2] = d[j];
    barrier_sync(group, 128);
    for (int c = int(threadIdx.x) % 128; c < 64 * kTile / 8; c += 128) {
      const int r = c / (kTile / 8), column = c % (kTile / 8) * 8;
      if (part.at.row + first_row + r >= task.m || part.at.column + column >= task.n) continue;
      const Pack<float> low = load16(staged + (r * kStagedStride + column)),
                        high = load16(staged + (r * kStagedStride + column + 4));
      const float v[8] = {low.v[0], low.v[1], low.v[2], low.v[3], high.v[0], high.v[1], high.v[2], high.v[3]};
      write_row(out, part.at.row + first_row + r, part.at.column + column, v, 8);
    }
  }
}

template <Major kMajor, class T>
TensorMap map_of(const T* x, int64_t batch, int64_t rows, int64_t columns) {
  return tensor_map(x, {batch, rows, columns}, {1, kMajor == Major::k ? kTile : 64, 64});
}

template <Major kA, Major kB, class Out, class T>
void multiply(Cuda where, const T* a, const T* b, const MatmulShape& s, const Task<Out>& task) {
  const int64_t units = int64_t(task.items) * task.tiles_m * task.tiles_n;
  launch(where, "matmul_wgmma", wgmma_tiles<Out, T, kA, kB>, std::min<int64_t>(units, multiprocessors(where)),
         kThreads, kShared,
         kA == Major::k ? map_of<kA>(a, s.batch, s.m, s.k) : map_of<kA>(a, s.batch, s.k, s.m),
         kB == Major::k ? map_of<kB>(b, s.batch, s.n, s.k) : map_of<kB>(b, s.batch, s.k, s.n), task);
}

template <class Out>
Task<Out> task_of(const Out& out, const MatmulShape& s, const Splits& splits) {
  return {out,
          int(s.batch) * splits.count,
          int(s.m),
          int(s.n),
          int(s.k),
          splits.count,
          splits.depth,
          int(ceil_div(s.m, kTile)),
          int(ceil_div(s.n, kTile))};
}

template <class Y, class T>
void multiply(Cuda where, Y* y, const T* a, const T* b, const MatmulShape& s, Splits splits, float beta) {
  const bool aligned = on_16_bytes(y) && s.n % Pack<Y>::size == 0;
  const auto task = task_of(Plain<Y>{y, int(s.n), beta, aligned, nullptr}, s, splits);
  if (s.transpose_a && s.transpose_b) multiply<Major::mn, Major::k>(where, a, b, s, task);
  else if (s.transpose_a) multiply<Major::mn, Major::mn>(where, a, b, s, task);
  else if (s.transpose_b) multiply<Major::k, Major::k>(where, a, b, s, task);
  else multiply<Major::k, Major::mn>(where, a, b, s, task);
}

}  // namespace

template <class T>
bool matmul_wgmma_fits(Cuda where, const T* a, const T* b, MatmulShape s) {
  constexpr int64_t kSize = Pack<T>::size;
  return compute_capability(where) == 90 && s.batch > 0 && s.m > 0 && s.n > 0 && s.k > 0 && on_16_bytes(a) &&
         on_16_bytes(b) && (s.transpose_a ? s.m : s.k) % kSize == 0 &&
         (s.transpose_b ? s.k : s.n) % kSize == 0;
}

template <class Y, class T>
void matmul_wgmma(Cuda where, Y* y, const T* a, const T* b, MatmulShape s, double beta) {
  const Splits splits(s.batch, s.m, s.n, s.k);
  in_splits(where, y, s.m * s.n, splits, float(beta),
            [&](auto* to, float keep) { multiply(where, to, a, b, s, splits, keep); });
}

template <class T>
void linear_wgmma(Cuda where, T* y, const T* x, const T* w, MatmulShape s, const Epilogue<T>& e) {
  const Splits splits(1, s.m, s.n, s.k);
  const Finish<T> finish(y, s.n, e);
  if (splits.count > 1)
    return add_splits(where, s.m * s.n, splits, finish,
                      [&](float* parts) { multiply(where, parts, x, w, s, splits, 0); });
  multiply<Major::k, Major::k>(where, x, w, s, task_of(Finished<T>{finish}, s, splits));
}

#define INSTANTIATE(T)                                                                       \
  template void linear_wgmma(Cuda, T*, const T*, const T*, MatmulShape, const Epilogue<T>&); \
  template bool matmul_wgmma_fits(Cuda, const T*, const T*, MatmulShape);                    \
  template void matmul_wgmma(Cuda, float*, const T*, const T*, MatmulShape, double);         \
  template void matmul_wgmma(Cuda, T*, const T*, const T*, MatmulShape, double);
INSTANTIATE(bf16)
INSTANTIATE(f16)
