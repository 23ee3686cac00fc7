// The emulated device: kernels with one bug each are caught, by a message that names kernel, block, thread
// and line, or, where the hardware would say nothing, by a wrong result in at least one schedule; and kernels
// without bugs give the exact result in every schedule. Numbers are small integers, so that sums are exact.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <cmath>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "kernels/device.h"
#include "kernels/philox.h"

namespace {

constexpr Cuda kCudaDevice{};
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Found {
  std::set<std::string> errors;
  int wrong = 0, right = 0;  // schedules
};

// Runs f, which says whether the result is right, in every schedule, the random one with eight seeds.
template <class F>
Found in_every_schedule(F f, emulate::Copies copies = emulate::Copies::late) {
  Found found;
  for (emulate::Schedule s : emulate::kSchedules)
    for (uint64_t seed = 0; seed < (s == emulate::Schedule::random ? 8 : 1); ++seed) {
      emulate::set_schedule(s, seed, copies);
      try {
        ++(f() ? found.right : found.wrong);
      } catch (const Error& e) {
        found.errors.insert(e.what());
        ++found.wrong;
      }
    }
  emulate::set_schedule(emulate::Schedule::round_robin);
  return found;
}

// Every schedule stopped, each with kernel, block, thread, line and these words.
void check_stopped(const Found& found, const std::string& kernel, const std::string& words) {
  CHECK(found.right == 0);
  REQUIRE(!found.errors.empty());
  const std::regex form("kernel " + kernel +
                        R"(: block \(\d+, 0, 0\), thread \(\d+, 0, 0\), tests/test_emulator.cpp:\d+: .*)");
  for (const std::string& error : found.errors) {
    CAPTURE(error);
    CHECK(std::regex_match(error, form));
    CHECK(error.find(words) != std::string::npos);
  }
}
void check_right(const Found& found) {
  for (const std::string& error : found.errors) MESSAGE(error);
  CHECK(found.wrong == 0);
  CHECK(found.right == 11);
}
void check_caught(const Found& found) { CHECK(found.wrong > 0); }

enum class Bug { none, planted };

// ---- barriers of a block and a warp
// -------------------------------------------------------------------------

template <Bug B>
__global__ void reverse(float* y, const float* x) {
  SHARED(float, s, 128);
  const int t = int(threadIdx.x);
  s[t] = x[t];
  if (B == Bug::none) __syncthreads();
  y[t] = s[127 - t];
}

template <Bug B>
bool run_reverse() {
  std::vector<float> x(128), y(128, kNaN);
  for (int i = 0; i < 128; ++i) x[size_t(i)] = float(i);
  launch(kCudaDevice, "reverse", reverse<B>, 1, 128, 0, y.data(), x.data());
  for (int i = 0; i < 128; ++i)
    if (y[size_t(i)] != float(127 - i)) return false;
  return true;
}

__global__ void two_barriers(float* y) {
  if (threadIdx.x < 64) __syncthreads();
  else y[threadIdx.x] = 1, __syncthreads();
}
__global__ void early_return(float* y, int n) {
  if (int(threadIdx.x) >= n) return;
  __syncthreads();
  y[threadIdx.x] = 1;
}
__global__ void half_a_warp(float* y) {
  if (threadIdx.x % 32 < 16) y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  else __syncwarp();
}
__global__ void never_arrives() {
  SHARED(Mbarrier, b, 1);
  if (threadIdx.x == 0) mbarrier_init(b, 2);
  __syncthreads();
  if (threadIdx.x == 0) mbarrier_arrive(b);
  mbarrier_wait(b, 0);
}
__global__ void wrong_bound(float* y, int n) {
  SHARED(float, s, 64);
  for (int i = int(threadIdx.x); i <= n; i += int(blockDim.x)) s[i] = float(i);
  __syncthreads();
  if (int(threadIdx.x) < n) y[threadIdx.x] = s[int(threadIdx.x)];
}
__global__ void more_than_launched() {
  DynamicShared shared;
  shared.take<float>(64)[0] = 1;
  shared.take<float>(65)[0] = 1;
}
__global__ void uninitialised(float* y) {
  SHARED(float, s, 32);
  y[threadIdx.x] = s[int(threadIdx.x)];
}

// Sums over warps and blocks of a size that is not a power of two.
__global__ void sums(float* y, const float* x, int n) {
  float of_block = 0;
  for (int i = int(threadIdx.x); i < n; i += int(blockDim.x)) of_block += x[i];
  of_block = block_reduce(of_block, Sum());
  const float most = block_reduce(int(threadIdx.x) < n ? x[threadIdx.x] : -INFINITY, Maximum());
  y[2 * threadIdx.x] = of_block, y[2 * threadIdx.x + 1] = most;
}

// ---- asynchronous copies
// ------------------------------------------------------------------------------------

template <Bug B>
__global__ void copy_16(float* y, const float* x) {
  SHARED(float, s, 128);
  const int t = int(threadIdx.x);
  cp_async(s + 4 * t, x + 4 * t, t == 31 ? 8 : 16);
  cp_async_commit();
  if (B == Bug::none) cp_async_wait<0>();
  __syncthreads();
  for (int i = t; i < 128; i += 32) y[i] = s[i];
}
template <Bug B>
bool run_copy_16() {
  alignas(16) float x[128];
  float y[128];
  for (int i = 0; i < 128; ++i) x[i] = float(i), y[i] = kNaN;
  launch(kCudaDevice, "copy_16", copy_16<B>, 1, 32, 0, y, x);
  for (int i = 0; i < 128; ++i)
    if (y[i] != (i < 126 ? x[i] : 0)) return false;
  return true;
}

enum class Tma { right, no_wait, no_init_fence, no_proxy_fence, small_view, no_store_wait };

// y = 2 x for a tensor (rows, 64) of floats, 8 rows a block, through boxes of (8, 32).
template <Tma B>
__global__ void twice(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap y) {
  DynamicShared shared;
  const auto box = shared.take<float>(B == Tma::small_view ? 8 * 31 : 8 * 32, 128);
  const auto full = shared.take<Mbarrier>(1);
  const int t = int(threadIdx.x);
  if (t == 0) {
    mbarrier_init(full, 1);
    if (B != Tma::no_init_fence) fence_mbarrier_init();
  }
  __syncthreads();
  for (int half = 0; half < 2; ++half) {
    if (t == 0) {
      mbarrier_arrive_expect_tx(full, 8 * 32 * 4);
      tma_load(box, x, full, int(blockIdx.x) * 8, half * 32);
    }
    if (B != Tma::no_wait || t == 0) mbarrier_wait(full, half);
    for (int i = t; i < 8 * 32; i += int(blockDim.x)) box[i] *= 2;
    if (B != Tma::no_proxy_fence) fence_proxy_async();
    __syncthreads();
    if (t == 0) {
      tma_store(y, box, int(blockIdx.x) * 8, half * 32);
      tma_store_commit();
      if (B != Tma::no_store_wait) tma_store_wait<0>();
    }
    __syncthreads();
  }
}
template <Tma B>
bool run_twice(Swizzle swizzle = Swizzle::none) {
  const int64_t rows = 13;  // not a multiple of a box
  alignas(16) float x[rows * 64], y[rows * 64];
  for (int i = 0; i < rows * 64; ++i) x[i] = float(i), y[i] = kNaN;
  launch(kCudaDevice, "twice", twice<B>, ceil_div(rows, 8), 128, 2048,
         tensor_map(x, {rows, int64_t{64}}, {8, 32}, swizzle),
         tensor_map(y, {rows, int64_t{64}}, {8, 32}, swizzle));
  for (int i = 0; i < rows * 64; ++i)
    if (y[i] != 2 * x[i]) return false;
  return true;
}

// A box that hangs over every edge of (n, h, w, c), with every second row and column: what is outside is 0.
__global__ void window(const __grid_constant__ TensorMap x, float* y, int h, int w) {
  DynamicShared shared;
  const auto box = shared.take<float>(3 * 4 * 8, 128);
  const auto full = shared.take<Mbarrier>(1);
  if (threadIdx.x == 0) {
    mbarrier_init(full, 1);
    fence_mbarrier_init();
    mbarrier_arrive_expect_tx(full, 3 * 4 * 8 * 4);
    tma_load(box, x, full, 1, h, w, 0);
  }
  __syncthreads();
  mbarrier_wait(full, 0);
  for (int i = int(threadIdx.x); i < 3 * 4 * 8; i += 32) y[i] = box[i];
}

// ---- products
// -----------------------------------------------------------------------------------------------

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

// Tiles of 64 x 64 x 32, two buffers, four warps of 32 x 32. A row of 32 elements is four chunks of 16 bytes;
// chunk c of row r stands at c ^ (r / 2 % 4), so that ldmatrix meets every bank once.
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
    if (B == Bug::none) __syncthreads();  // before the next step's copies replace what was read
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
         p.y.data(), p.a.data(), p.b.data(), int(p.m), int(p.n), int(p.k));
  return p.right();
}

// ldmatrix_trans of b stored (k, n) gives the same fragments as ldmatrix of its transpose.
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

// Warp-specialised: warpgroup 0 loads tiles of (128, 64) of a and (N, 64) of b through TMA, warpgroups 1 and
// 2 multiply 64 rows each; a ring of kStages tiles, each with a barrier for full and one for empty. The two
// blocks of a cluster have the same columns, and each loads half of b for both.
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
  Product<T> p(200, N + 16, 192 + 8);  // two blocks of rows, edges everywhere
  const size_t bytes = kStages * (128 + N) * 64 * sizeof(T) + 128 * N * sizeof(float) + 2 * kStages * 8;
  launch(kCudaDevice, "gemm_wgmma", gemm_wgmma<T, N, B>, Grid(2, 2).in_clusters(2), 384, bytes,
         tensor_map(p.a.data(), {p.m, p.k}, {128, 64}), tensor_map(p.b.data(), {p.n, p.k}, {N / 2, 64}),
         tensor_map(p.y.data(), {p.m, p.n}, {128, N}, Swizzle::none), int(ceil_div(p.k, 64)));
  return p.right();
}

// y (64, 64) = a (64, 64) b (64, 64), b stored (k, n), a from registers or stored (k, m).
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
  wgmma_fence(d);
  for (int k = 0; k < 64; k += 16) {
    const auto columns = operand_mn_major(sb, k, 64 * 64);
    if constexpr (FromRegisters) {
      uint32_t r[4];
      for (int i = 0; i < 4; ++i) {
        const int c = k + 2 * (lane % 4) + i / 2 * 8;
        const bf16* p = ga + (row + i % 2 * 8) * 64 + c;
        r[i] = uint32_t(p[0].bits) | uint32_t(p[1].bits) << 16;
      }
      wgmma_m64k16(d, r, columns, k > 0);
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
         tensor_map(at.data(), {s, s}, {64, 64}), tensor_map(bt.data(), {s, 2 * s}, {64, 64}), p.y.data(),
         p.a.data());
  return p.right();
}

}  // namespace

TEST_CASE("a missing __syncthreads gives a wrong result in some schedule") {
  check_right(in_every_schedule(run_reverse<Bug::none>));
  const Found found = in_every_schedule(run_reverse<Bug::planted>);
  check_caught(found);
  CHECK(found.errors.empty());
}

TEST_CASE("barriers that not all threads reach stop") {
  std::vector<float> y(128);
  check_stopped(in_every_schedule([&] {
                  launch(kCudaDevice, "two_barriers", two_barriers, 1, 128, 0, y.data());
                  return true;
                }),
                "two_barriers", "divergent barrier");
  check_stopped(in_every_schedule([&] {
                  launch(kCudaDevice, "early_return", early_return, 3, 128, 0, y.data(), 100);
                  return true;
                }),
                "early_return", "divergent barrier");
  check_stopped(in_every_schedule([&] {
                  launch(kCudaDevice, "half_a_warp", half_a_warp, 1, 64, 0, y.data());
                  return true;
                }),
                "half_a_warp", "divergent warp");
}

TEST_CASE("a wait that cannot end stops") {
  check_stopped(in_every_schedule([] {
                  launch(kCudaDevice, "never_arrives", never_arrives, 2, 64, 0);
                  return true;
                }),
                "never_arrives", "deadlock: 64 of block");
}

TEST_CASE("shared memory out of range stops, and starts as NaN") {
  std::vector<float> y(128);
  check_stopped(in_every_schedule([&] {
                  launch(kCudaDevice, "wrong_bound", wrong_bound, 1, 128, 0, y.data(), 64);
                  return true;
                }),
                "wrong_bound", "index 64 of 64 elements");
  check_stopped(in_every_schedule([] {
                  launch(kCudaDevice, "more_than_launched", more_than_launched, 1, 32, 512);
                  return true;
                }),
                "more_than_launched", "260 bytes of dynamic shared memory from 256 on; the launch gave 512");
  launch(kCudaDevice, "uninitialised", uninitialised, 1, 32, 0, y.data());
  for (int i = 0; i < 32; ++i) CHECK(std::isnan(y[size_t(i)]));
}

TEST_CASE("reductions") {
  std::vector<float> x(1000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(random_bits({3, 0, 0}, i) % 100) - 50;
  for (int threads : {32, 96, 1024})
    for (int n : {1, 31, 1000})
      check_right(in_every_schedule([&] {
        std::vector<float> y(size_t(2 * threads), kNaN);
        launch(kCudaDevice, "sums", sums, 1, unsigned(threads), 0, y.data(), x.data(), n);
        float sum = 0, most = -INFINITY;
        for (int i = 0; i < n; ++i) sum += x[size_t(i)];
        for (int i = 0; i < std::min(n, threads); ++i) most = std::max(most, x[size_t(i)]);
        for (size_t i = 0; i < size_t(threads); ++i)
          if (y[2 * i] != sum || y[2 * i + 1] != most) return false;
        return true;
      }));
}

TEST_CASE("an empty grid does nothing; one that is too large is refused") {
  launch(kCudaDevice, "sums", sums, 0, 32, 0, static_cast<float*>(nullptr),
         static_cast<const float*>(nullptr), 1);
  launch(kCudaDevice, "sums", sums, Grid(1, 0), 32, 0, static_cast<float*>(nullptr),
         static_cast<const float*>(nullptr), 1);
  CHECK_THROWS_AS(Grid(1, 65536), Error);
  CHECK_THROWS_AS(launch(kCudaDevice, "large", more_than_launched, 1, 32, 300000), Error);
}

TEST_CASE("cp.async arrives at the wait, and no earlier") {
  check_right(in_every_schedule(run_copy_16<Bug::none>));
  CHECK(in_every_schedule(run_copy_16<Bug::planted>).right == 0);
}

TEST_CASE("TMA") {
  check_right(in_every_schedule([] { return run_twice<Tma::right>(); }));
  check_right(in_every_schedule([] { return run_twice<Tma::right>(Swizzle::bytes128); }));
  check_caught(in_every_schedule([] { return run_twice<Tma::no_wait>(); }));
  check_stopped(in_every_schedule([] { return run_twice<Tma::no_init_fence>(); }), "twice",
                "no fence_mbarrier_init");
  check_stopped(in_every_schedule([] { return run_twice<Tma::no_proxy_fence>(); }), "twice",
                "no fence_proxy_async");
  check_stopped(in_every_schedule([] { return run_twice<Tma::small_view>(); }), "twice", "needs 1024 bytes");
  check_stopped(in_every_schedule([] { return run_twice<Tma::no_store_wait>(); }), "twice",
                "before tma_store_wait<0>");
}

TEST_CASE("a TMA box with steps that hangs over the edges") {
  const int n = 2, h = 5, w = 6, c = 8;
  alignas(16) float x[n * h * w * c];
  for (int i = 0; i < n * h * w * c; ++i) x[i] = float(i + 1);
  TensorBox b{4, {n, h, w, c}, {h * w * c, w * c, c, 1}, {1, 3, 4, 8}, {1, 2, 2, 1}};
  for (int h0 : {-2, 0, 1, 3})
    for (int w0 : {-1, 0, 5, -9}) {
      float y[3 * 4 * 8];
      launch(kCudaDevice, "window", window, 1, 32, 1024, tensor_map(x, 4, false, b, Swizzle::none), y, h0,
             w0);
      for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 4; ++j)
          for (int e = 0; e < 8; ++e) {
            const int hh = h0 + 2 * i, ww = w0 + 2 * j;
            const bool inside = hh >= 0 && hh < h && ww >= 0 && ww < w;
            CHECK(y[(i * 4 + j) * 8 + e] == (inside ? x[((h + hh) * w + ww) * c + e] : 0));
          }
    }
  CHECK_THROWS_AS(tensor_map(x, {int64_t{4}, int64_t{6}}, {4, 6}), Error);        // rows of 24 bytes
  CHECK_THROWS_AS(tensor_map(x, {int64_t{4}, int64_t{64}}, {4, 64}), Error);      // wider than the swizzle
  CHECK_THROWS_AS(tensor_map(x + 1, {int64_t{4}, int64_t{32}}, {4, 32}), Error);  // not on 16 bytes
}

TEST_CASE("cp.async, ldmatrix and mma multiply exactly") {
  check_right(in_every_schedule(run_gemm_mma<bf16, Bug::none>));
  check_right(in_every_schedule(run_gemm_mma<f16, Bug::none>));
  bf16 x[256];
  uint32_t y[128 + 256];
  for (int i = 0; i < 256; ++i) x[i] = bf16(i);
  launch(kCudaDevice, "transposes", transposes, 1, 32, 0, y, x);
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
  check_right(in_every_schedule(run_copy_16<Bug::none>, Copies::early));
  check_right(in_every_schedule([] { return run_twice<Tma::right>(); }, Copies::early));
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
