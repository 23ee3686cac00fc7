// The emulated device: matrix products by mma, and by TMA, mbarriers and wgmma. Each is exact or has one bug
// (emulator.h).
#include "tests/support/emulator.h"

namespace dae {

namespace {

template <class T>
struct Product {  // y (m, n) = a (m, k) b (n, k)^T
  int64_t m, n, k;
  std::vector<T> a, b;
  std::vector<float> y, expected;
  Product(int64_t m, int64_t n, int64_t k)
      : m(m),
        n(n),
        k(k),
        a(size_t(m * k)),
        b(size_t(n * k)),
        y(size_t(m * n), kNaN),
        expected(size_t(m * n)) {
    for (size_t i = 0; i < a.size(); ++i) a[i] = T(int(random_bits({1, 0, 0}, i) % 7) - 3);
    for (size_t i = 0; i < b.size(); ++i) b[i] = T(int(random_bits({1, 0, 1}, i) % 5) - 2);
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        float s = 0;
        for (int64_t l = 0; l < k; ++l) s += float(a[size_t(i * k + l)]) * float(b[size_t(j * k + l)]);
        expected[size_t(i * n + j)] = s;
      }
  }
  bool right() const { return y == expected; }
};

// Tiles of 64 x 64 x 32, two buffers, four warps of 32 x 32. A row of 32 elements is four chunks of 16 bytes.
// Chunk c of row r lies at place c ^ (r / 2 % 4), so that ldmatrix reads every bank once.
template <class T, Bug B>
__global__ void __launch_bounds__(128) gemm_mma(float* y, const T* a, const T* b, int m, int n, int k) {
  SHARED(T, sa, 2 * 64 * 32);
  SHARED(T, sb, 2 * 64 * 32);
  const int row0 = int(blockIdx.x) * 64, column0 = int(blockIdx.y) * 64, lane = lane_of_warp();
  const int warp_row = warp_of_block() / 2 * 32, warp_column = warp_of_block() % 2 * 32;
  const auto place = [](int r, int chunk) { return r * 32 + (chunk ^ (r / 2 % 4)) * 8; };
  const auto load = [&](int step) {
    const int buffer = step % 2 * 64 * 32;
    for (int i = int(threadIdx.x); i < 256; i += 128) {
      const int r = i / 4, chunk = i % 4, c = step * 32 + chunk * 8;
      const bool in_a = row0 + r < m && c < k, in_b = column0 + r < n && c < k;
      cp_async(sa + (buffer + place(r, chunk)), in_a ? a + int64_t(row0 + r) * k + c : a, in_a ? 16 : 0);
      cp_async(sb + (buffer + place(r, chunk)), in_b ? b + int64_t(column0 + r) * k + c : b, in_b ? 16 : 0);
    }
    cp_async_commit();
  };
  float d[2][4][4] = {};
  const int steps = int(ceil_div(k, 32));
  load(0);
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) load(step + 1), cp_async_wait<1>();
    else cp_async_wait<0>();
    __syncthreads();
    const auto ta = sa + step % 2 * 64 * 32, tb = sb + step % 2 * 64 * 32;
    for (int kk = 0; kk < 2; ++kk) {
      uint32_t fa[2][4], fb[4][2];
      for (int i = 0; i < 2; ++i)
        ldmatrix_x4(fa[i], ta + place(warp_row + 16 * i + lane % 16, 2 * kk + lane / 16));
      for (int j = 0; j < 4; ++j)
        ldmatrix_x2(fb[j], tb + place(warp_column + 8 * j + lane % 8, 2 * kk + lane / 8 % 2));
      for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j) mma_m16n8k16<T>(d[i][j], fa[i], fb[j]);
    }
    if (B == Bug::none) __syncthreads();  // the next step's copies overwrite what was read
  }
  for (int i = 0; i < 2; ++i)
    for (int j = 0; j < 4; ++j)
      for (int e = 0; e < 4; ++e) {
        const int r = row0 + warp_row + 16 * i + lane / 4 + 8 * (e / 2);
        const int c = column0 + warp_column + 8 * j + 2 * (lane % 4) + e % 2;
        if (r < m && c < n) y[int64_t(r) * n + c] = d[i][j][e];
      }
}
template <class T, Bug B>
bool run_gemm_mma() {
  Product<T> p(100, 72, 88);
  launch(kCudaDevice, "gemm_mma", gemm_mma<T, B>, Grid(ceil_div(p.m, 64), ceil_div(p.n, 64)), 128, 0,
         there(p.y), there(p.a), there(p.b), int(p.m), int(p.n), int(p.k));
  return p.right();
}

// Checks that ldmatrix_trans of b stored (k, n) gives the same fragments as ldmatrix of its transpose.
__global__ void transposes(uint32_t* y, const bf16* x) {
  SHARED(bf16, rows, 16 * 16);
  SHARED(bf16, columns, 16 * 16);
  SHARED(bf16, again, 16 * 16);
  const int t = int(threadIdx.x);
  for (int i = t; i < 256; i += 32) rows[i] = x[i], columns[i % 16 * 16 + i / 16] = x[i];
  __syncwarp();
  uint32_t a[4], b[4];
  ldmatrix_x4(a, rows + (t % 16 * 16 + t / 16 * 8));
  ldmatrix_x4_trans(b, columns + ((t % 8 + t / 16 * 8) * 16 + t / 8 % 2 * 8));
  stmatrix_x4_trans(again + ((t % 8 + t / 16 * 8) * 16 + t / 8 % 2 * 8), b);
  __syncwarp();
  for (int i = 0; i < 4; ++i) y[t * 4 + i] = a[i] ^ b[i];
  for (int i = t; i < 256; i += 32) y[128 + i] = again[i].bits ^ columns[i].bits;
}

enum class Hopper { right, no_wait, no_fence, no_full, no_empty, early_release };
constexpr int kStages = 2;

// A warp-specialised product. Warpgroup 0 loads tiles of (128, 64) of a and (N, 64) of b through TMA;
// warpgroups 1 and 2 multiply 64 rows each. The tiles form a ring of kStages, each with a full and an empty
// barrier. The two blocks of a cluster have the same columns, and each loads half of b for both.
template <class T, int N, Hopper B>
__global__ void __launch_bounds__(384, 1)
    gemm_wgmma(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
               const __grid_constant__ TensorMap y, int steps) {
  DynamicShared shared;
  const auto sa = shared.take<T>(kStages * 128 * 64, 1024), sb = shared.take<T>(kStages * N * 64, 1024);
  const auto sy = shared.take<float>(128 * N, 128);
  const auto full = shared.take<Mbarrier>(kStages), empty = shared.take<Mbarrier>(kStages);
  const int group = warp_of_block() / 4, rank = cluster_rank();
  if (threadIdx.x == 0) {
    for (int s = 0; s < kStages; ++s) mbarrier_init(full + s, 1), mbarrier_init(empty + s, 2 * 2);
    fence_mbarrier_init();
  }
  cluster_sync();
  if (group == 0) {
    setmaxnreg_decrease<40>();
    if (warp_of_block() == 0 && elect_one())
      for (int i = 0; i < steps; ++i) {
        const int s = i % kStages;
        if (B != Hopper::no_empty) mbarrier_wait(empty + s, (i / kStages + 1) % 2);
        mbarrier_arrive_expect_tx(full + s, (128 + N) * 64 * int(sizeof(T)));
        tma_load(sa + s * 128 * 64, a, full + s, int(blockIdx.x) * 128, i * 64);
        tma_load_multicast(sb + (s * N + rank * (N / 2)) * 64, b, full + s, 3,
                           int(blockIdx.y) * N + rank * (N / 2), i * 64);
      }
  } else {
    setmaxnreg_increase<232>();
    float d[N / 2] = {};
    for (int i = 0; i < steps; ++i) {
      const int s = i % kStages;
      if (B != Hopper::no_full) mbarrier_wait(full + s, i / kStages % 2);
      if (B != Hopper::no_fence) wgmma_fence(d);
      for (int k = 0; k < 64; k += 16)
        wgmma_m64k16(d, operand_k_major(sa + (s * 128 + (group - 1) * 64) * 64, k),
                     operand_k_major(sb + s * N * 64, k), i + k > 0);
      wgmma_commit();
      const auto release = [&] {
        if (threadIdx.x % 128 < 2) mbarrier_arrive_cluster(empty + s, int(threadIdx.x % 128));
      };
      if (B == Hopper::early_release) release();
      if (B != Hopper::no_wait) wgmma_wait<0>(d);
      if (B != Hopper::early_release) release();
    }
    const int row = (group - 1) * 64 + warp_of_block() % 4 * 16 + lane_of_warp() / 4;
    for (int j = 0; j < N / 2; ++j)
      sy[(row + j % 4 / 2 * 8) * N + j / 4 * 8 + 2 * (lane_of_warp() % 4) + j % 2] = d[j];
    fence_proxy_async();
    barrier_sync(1, 256);
    if (B == Hopper::no_wait) wgmma_wait<0>(d);
    if (threadIdx.x == 128) {
      tma_store(y, sy, int(blockIdx.x) * 128, int(blockIdx.y) * N);
      tma_store_commit();
      tma_store_wait<0>();
    }
  }
  cluster_sync();  // the other block may still arrive at barriers of this one
}
template <class T, int N, Hopper B>
bool run_gemm_wgmma() {
  Product<T> p(200, N + 16, 192 + 8);  // two blocks of rows, with partial tiles at every edge
  const size_t bytes = kStages * (128 + N) * 64 * sizeof(T) + 128 * N * sizeof(float) + 2 * kStages * 8;
  launch(kCudaDevice, "gemm_wgmma", gemm_wgmma<T, N, B>, Grid(2, 2).in_clusters(2), 384, bytes,
         tensor_map(there(p.a).data, {p.m, p.k}, {128, 64}),
         tensor_map(there(p.b).data, {p.n, p.k}, {N / 2, 64}),
         tensor_map(there(p.y).data, {p.m, p.n}, {128, N}, Swizzle::none), int(ceil_div(p.k, 64)));
  return p.right();
}

// y (64, 64) = a (64, 64) b (64, 64). b is stored (k, n); a comes from registers or is stored (k, m).
template <bool FromRegisters>
__global__ void __launch_bounds__(128)
    other_operands(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b, float* y,
                   const bf16* ga) {
  DynamicShared shared;
  const auto sa = shared.take<bf16>(64 * 64, 1024), sb = shared.take<bf16>(128 * 64, 1024);
  const auto full = shared.take<Mbarrier>(1);
  const int lane = lane_of_warp(), row = warp_of_block() * 16 + lane / 4;
  if (threadIdx.x == 0) {
    mbarrier_init(full, 1);
    fence_mbarrier_init();
    mbarrier_arrive_expect_tx(full, 3 * 64 * 64 * 2);
    tma_load(sa, a, full, 0, 0);
    tma_load(sb, b, full, 0, 0);
    tma_load(sb + 64 * 64, b, full, 0, 64);
  }
  __syncthreads();
  mbarrier_wait(full, 0);
  float d[64];
  uint32_t r[4][4];
  wgmma_fence(d);
  for (int k = 0; k < 64; k += 16) {
    const auto columns = operand_mn_major(sb, k, 64 * 64);
    if constexpr (FromRegisters) {
      for (int i = 0; i < 4; ++i) {
        const int c = k + 2 * (lane % 4) + i / 2 * 8;
        const bf16* p = ga + (row + i % 2 * 8) * 64 + c;
        r[k / 16][i] = uint32_t(p[0].bits) | uint32_t(p[1].bits) << 16;
      }
      wgmma_m64k16(d, r[k / 16], columns, k > 0);
    } else {
      wgmma_m64k16(d, operand_mn_major(sa, k, 64 * 64), columns, k > 0);
    }
  }
  wgmma_commit();
  wgmma_wait<0>(d);
  for (int j = 0; j < 64; ++j) y[(row + j % 4 / 2 * 8) * 128 + j / 4 * 8 + 2 * (lane % 4) + j % 2] = d[j];
}
template <bool FromRegisters>
bool run_other_operands() {
  Product<bf16> p(64, 128, 64);
  std::vector<bf16> at(64 * 64), bt(64 * 128);
  for (size_t i = 0; i < 64; ++i)
    for (size_t k = 0; k < 64; ++k) at[k * 64 + i] = p.a[i * 64 + k];
  for (size_t j = 0; j < 128; ++j)
    for (size_t k = 0; k < 64; ++k) bt[k * 128 + j] = p.b[j * 64 + k];
  const int64_t s = 64;
  launch(kCudaDevice, "other_operands", other_operands<FromRegisters>, 1, 128, 3 * 64 * 64 * 2 + 64,
         tensor_map(there(at).data, {s, s}, {64, 64}), tensor_map(there(bt).data, {s, 2 * s}, {64, 64}),
         there(p.y), there(p.a));
  return p.right();
}

}  // namespace

TEST_CASE("cp.async, ldmatrix and mma multiply exactly") {
  check_right(in_every_schedule(run_gemm_mma<bf16, Bug::none>));
  check_right(in_every_schedule(run_gemm_mma<f16, Bug::none>));
  bf16 x[256];
  uint32_t y[128 + 256];
  for (int i = 0; i < 256; ++i) x[i] = bf16(i);
  launch(kCudaDevice, "transposes", transposes, 1, 32, 0, there(y), there(x));
  for (uint32_t difference : y) CHECK(difference == 0);
}

TEST_CASE("TMA, mbarrier and wgmma multiply exactly") {
  check_right(in_every_schedule(run_gemm_wgmma<bf16, 64, Hopper::right>));
  check_right(in_every_schedule(run_gemm_wgmma<f16, 128, Hopper::right>));
  check_right(in_every_schedule(run_other_operands<false>));
  check_right(in_every_schedule(run_other_operands<true>));
}

TEST_CASE("a place that is filled again too soon shows when copies are early, and only then") {
  using emulate::Copies;
  check_right(in_every_schedule(run_gemm_mma<bf16, Bug::none>, Copies::early));
  check_right(in_every_schedule(run_gemm_mma<bf16, Bug::planted>, Copies::late));
  check_caught(in_every_schedule(run_gemm_mma<bf16, Bug::planted>, Copies::early));
  check_right(in_every_schedule(run_gemm_wgmma<bf16, 64, Hopper::right>, Copies::early));
  check_right(in_every_schedule(run_gemm_wgmma<bf16, 64, Hopper::early_release>, Copies::late));
  check_caught(in_every_schedule(run_gemm_wgmma<bf16, 64, Hopper::early_release>, Copies::early));
}

TEST_CASE("a warp-specialised product with one bug is caught") {
  check_stopped(in_every_schedule(run_gemm_wgmma<bf16, 64, Hopper::no_fence>), "gemm_wgmma",
                "no wgmma_fence");
  CHECK(in_every_schedule(run_gemm_wgmma<bf16, 64, Hopper::no_wait>).right == 0);
  check_caught(in_every_schedule(run_gemm_wgmma<bf16, 64, Hopper::no_full>));
  check_caught(in_every_schedule(run_gemm_wgmma<bf16, 64, Hopper::no_empty>));
}

}  // namespace dae
