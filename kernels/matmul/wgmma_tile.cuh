// Matrix products on Hopper, bf16 and f16: y (m, n) = sum_p a(i, p) b(p, j) by tiles of 128 by 128. The
// kernel is persistent and warp-specialised, so that, unlike in mma_tile.cuh, no thread that multiplies also copies:
//   warpgroup 0          one thread asks TMA for 64 of p at a time, into a ring of four stages
//   warpgroups 1 and 2   multiply 64 rows each from shared memory by wgmma; one group of instructions is
//                        always in flight
// A block takes every gridDim-th tile, so that the next tile's loads run during this tile's epilogue. Matmul
// and all three convolutions are this product with different boxes.
//
// A problem has a Type, constants kAMajor and kBMajor (mma_tile.cuh), and:
//   units()                        the number of tiles of y, over all products
//   part(unit)                     one of these tiles, with `steps` of 64 of p
//   load(a, b, full, part, step)   asks for both tiles of a step, kWgmmaStage elements each, and counts them
//                                  at mbarrier `full`. A tile is (128, 64) if K-major, otherwise two of
//                                  (64 of p, 64), one after the other
//   write(part, r, c, v)           takes y of the tile's row r, eight columns from c on; it leaves out
//                                  elements past the end
#pragma once
#include "kernels/matmul/mma_tile.cuh"

namespace dae {

constexpr int kWgmmaDepth = 64, kWgmmaStages = 4, kWgmmaStage = kTile * kWgmmaDepth, kWgmmaThreads = 384;
constexpr int kWgmmaStagedRows = 64 * kStagedStride;  // of a consumer's y, in floats
constexpr size_t kWgmmaShared =
    2 * kWgmmaStages * kWgmmaStage * 2 + 2 * kWgmmaStagedRows * 4 + 2 * kWgmmaStages * sizeof(Mbarrier);

// Returns the wgmma operand of rows (or columns) from `first` on of a tile, 16 of p from p on.
template <Major kMajor, class T>
__device__ inline auto wgmma_operand(Shared<T> tile, int first, int p) {
  if constexpr (kMajor == Major::k) return operand_k_major(tile + first * kWgmmaDepth, p);
  else return operand_mn_major(tile + first * kWgmmaDepth, p, kWgmmaStage / 2);
}

template <class Problem>
__global__ void __launch_bounds__(kWgmmaThreads, 1) wgmma_tiles(const __grid_constant__ Problem problem) {
  using T = typename Problem::Type;
  constexpr int kStages = kWgmmaStages, kStage = kWgmmaStage;
  DynamicShared shared;
  const auto ring_a = shared.take<T>(kStages * kStage, 1024), ring_b = shared.take<T>(kStages * kStage, 1024);
  const auto all_staged = shared.take<float>(2 * kWgmmaStagedRows);
  const auto full = shared.take<Mbarrier>(kStages), empty = shared.take<Mbarrier>(kStages);
  const int group = warp_of_block() / 4, units = problem.units();
  if (threadIdx.x == 0) {
    for (int s = 0; s < kStages; ++s) mbarrier_init(full + s, 1), mbarrier_init(empty + s, 2);
    fence_mbarrier_init();
  }
  __syncthreads();

  if (group == 0) {
    setmaxnreg_decrease<40>();
    if (warp_of_block() != 0 || !elect_one()) return;
    int i = 0;  // counts the steps of all tiles
    for (int unit = int(blockIdx.x); unit < units; unit += int(gridDim.x)) {
      const auto part = problem.part(unit);
      for (int step = 0; step < part.steps; ++step, ++i) {
        const int s = i % kStages;
        mbarrier_wait(empty + s, (i / kStages + 1) % 2);
        mbarrier_arrive_expect_tx(full + s, 2 * kStage * int(sizeof(T)));
        problem.load(ring_a.slice(s * kStage, kStage), ring_b.slice(s * kStage, kStage), full + s, part,
                     step);
      }
    }
    return;
  }

  setmaxnreg_increase<232>();
  const int first_row = (group - 1) * 64, lane = lane_of_warp();
  const auto staged = all_staged.slice((group - 1) * kWgmmaStagedRows, kWgmmaStagedRows);
  const bool releases = threadIdx.x % 128 == 0;
  int i = 0;
  for (int unit = int(blockIdx.x); unit < units; unit += int(gridDim.x)) {
    const auto part = problem.part(unit);
    float d[kTile / 2] = {};
    for (int step = 0; step < part.steps; ++step, ++i) {
      const int s = i % kStages;
      mbarrier_wait(full + s, i / kStages % 2);
      wgmma_fence(d);
#pragma unroll
      for (int p = 0; p < kWgmmaDepth; p += 16)
        wgmma_m64k16(d, wgmma_operand<Problem::kAMajor>(ring_a.slice(s * kStage, kStage), first_row, p),
                     wgmma_operand<Problem::kBMajor>(ring_b.slice(s * kStage, kStage), 0, p), true);
      wgmma_commit();
      wgmma_wait<1>();
      if (step > 0 && releases) mbarrier_arrive(empty + (i - 1) % kStages);
    }
    wgmma_wait<0>(d);
    if (part.steps > 0 && releases) mbarrier_arrive(empty + (i - 1) % kStages);

    barrier_sync(group, 128);  // every thread has read the last tile's rows
    const int row = threadIdx.x % 128 / 32 * 16 + lane / 4;
#pragma unroll
    for (int j = 0; j < kTile / 2; ++j)
      staged[(row + j % 4 / 2 * 8) * kStagedStride + j / 4 * 8 + 2 * (lane % 4) + j % 2] = d[j];
    barrier_sync(group, 128);
    for (int c = int(threadIdx.x) % 128; c < 64 * kTile / 8; c += 128) {
      const int r = c / (kTile / 8), column = c % (kTile / 8) * 8;
      const Pack<float> low = load16(staged + (r * kStagedStride + column)),
                        high = load16(staged + (r * kStagedStride + column + 4));
      const float v[8] = {low.v[0], low.v[1], low.v[2], low.v[3], high.v[0], high.v[1], high.v[2], high.v[3]};
      problem.write(part, first_row + r, column, v);
    }
  }
}

template <class Problem>
void multiply_tiles_wgmma(Cuda where, const char* name, const Problem& problem) {
  launch(where, name, wgmma_tiles<Problem>, std::min(problem.units(), multiprocessors(where)), kWgmmaThreads,
         kWgmmaShared, problem);
}

}  // namespace dae
