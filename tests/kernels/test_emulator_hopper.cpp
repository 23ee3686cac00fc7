// The emulated device: what Hopper's instructions require of a kernel, and how tensor cores add (emulator.h).
// The requirements are fences between the generic and the async proxy, waits that may fail, register counts
// that are moved between warpgroups, and operands that stay unchanged while they are in use.
#include "tests/support/emulator.h"

namespace dae {

namespace {

// ---- proxies ----------------------------------------------------------------------------------------------

enum class Fence { by_writers, none, by_issuer, after_barrier, of_mbarriers };

// Comes between the writes of all threads and their use by TMA or wgmma.
template <Fence F>
void fence_and_meet() {
  if (F == Fence::by_writers) fence_proxy_async();
  if (F == Fence::of_mbarriers) fence_mbarrier_init();
  __syncthreads();
  if (F == Fence::after_barrier) fence_proxy_async();
}

template <Fence F>
__global__ void fenced_store(const __grid_constant__ TensorMap y, const float* x) {
  DynamicShared shared;
  const auto box = shared.take<float>(8 * 32, 128);
  for (int i = int(threadIdx.x); i < 8 * 32; i += int(blockDim.x)) box[i] = x[i];
  fence_and_meet<F>();
  if (threadIdx.x != 0) return;
  if (F == Fence::by_issuer) fence_proxy_async();
  tma_store(y, box, 0, 0);
  tma_store_commit();
  tma_store_wait<0>();
}
template <Fence F>
bool run_fenced_store() {
  alignas(16) float x[8 * 32], y[8 * 32];
  for (int i = 0; i < 8 * 32; ++i) x[i] = float(i), y[i] = kNaN;
  launch(kCudaDevice, "fenced_store", fenced_store<F>, 1, 64, 1024,
         tensor_map(there(y).data, {int64_t{8}, int64_t{32}}, {8, 32}, Swizzle::none), there(x));
  return std::equal(x, x + 8 * 32, y);
}

// y (64, 64) = a b, all ones. Warpgroup 1 writes b; warpgroup 0 multiplies it by fragments of its own.
template <Fence F>
__global__ void __launch_bounds__(256) fenced_operand(float* y) {
  DynamicShared shared;
  const auto b = shared.take<bf16>(64 * 64, 1024);
  if (threadIdx.x >= 128)
    for (int i = int(threadIdx.x) - 128; i < 64 * 64; i += 128) b[i] = bf16(1.0f);
  fence_and_meet<F>();
  if (threadIdx.x >= 128) return;
  if (F == Fence::by_issuer) fence_proxy_async();
  const uint32_t ones[4] = {0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80};
  float d[32];
  wgmma_fence(d);
  wgmma_m64k16(d, ones, operand_k_major(b, 0), false);
  wgmma_commit();
  wgmma_wait<0>(d);
  for (int j = 0; j < 32; ++j) y[int(threadIdx.x) * 32 + j] = d[j];
}
template <Fence F>
bool run_fenced_operand() {
  std::vector<float> y(64 * 64, kNaN);
  launch(kCudaDevice, "fenced_operand", fenced_operand<F>, 1, 256, 64 * 64 * 2, there(y));
  return y == std::vector<float>(64 * 64, 16.0f);
}

enum class Reuse { block_barrier, arrival, fence, warp_barrier, nothing };

// One warp copies four boxes of x (1, 32) to y through the same 128 bytes.
template <Reuse R, class T>
__global__ void refill(const __grid_constant__ TensorMap x, float* y) {
  DynamicShared shared;
  const auto box = shared.take<float>(32, 128);
  const auto full = shared.take<Mbarrier>(1), empty = shared.take<Mbarrier>(1);
  const Shared<T> seen = box;
  const int t = int(threadIdx.x);
  if (t == 0) {
    mbarrier_init(full, 1), mbarrier_init(empty, 32);
    fence_mbarrier_init();
  }
  __syncthreads();
  for (int i = 0; i < 4; ++i) {
    if (t == 0) {
      if (R == Reuse::arrival) mbarrier_wait(empty, (i + 1) % 2);
      mbarrier_arrive_expect_tx(full, 32 * 4);
      tma_load(box, x, full, 0, i * 32);
    }
    mbarrier_wait(full, i % 2);
    y[i * 32 + t] = seen[t];
    if (R == Reuse::block_barrier) __syncthreads();
    if (R == Reuse::arrival) mbarrier_arrive(empty);
    if (R == Reuse::fence) fence_proxy_async();
    if (R == Reuse::fence || R == Reuse::warp_barrier) __syncwarp();
  }
}
template <Reuse R, class T = float>
bool run_refill() {
  alignas(16) float x[128];
  float y[128];
  for (int i = 0; i < 128; ++i) x[i] = float(i), y[i] = kNaN;
  launch(kCudaDevice, "refill", refill<R, T>, 1, 32, 256,
         tensor_map(there(x).data, {int64_t{1}, int64_t{128}}, {1, 32}, Swizzle::none), there(y));
  return std::equal(x, x + 128, y);
}

// Stores x, uses the box again, and reads y.
template <bool Read>
__global__ void store_and_look(const __grid_constant__ TensorMap map, const float* y, float* seen) {
  DynamicShared shared;
  const auto box = shared.take<float>(32, 128);
  for (int i = 0; i < 32; ++i) box[i] = float(i);
  fence_proxy_async();
  tma_store(map, box, 0, 0);
  tma_store_commit();
  if (Read) tma_store_wait_read<0>();
  else tma_store_wait<0>();
  for (int i = 0; i < 32; ++i) box[i] = -1;
  *seen = y[31];
}
template <bool Read>
bool run_store_and_look() {
  Array<float> y(32), seen(1);
  y.poison();
  launch(kCudaDevice, "store_and_look", store_and_look<Read>, 1, 1, 128,
         tensor_map(y.data, {int64_t{1}, int64_t{32}}, {1, 32}, Swizzle::none), y.data, seen.data);
  const auto stored = y.download();
  for (int i = 0; i < 32; ++i) CHECK(stored[size_t(i)] == float(i));
  return seen.download()[0] == 31;
}

// ---- registers, elections, waits --------------------------------------------------------------------------

enum class Registers { right, too_many, none_freed, one_warp, two_numbers, wrong_way };

template <Registers R>
__global__ void __launch_bounds__(384) share_registers(float* y) {
  const int warp = warp_of_block();
  if (warp >= 4) {
    if (R == Registers::right || R == Registers::none_freed) setmaxnreg_increase<232>();
    if (R == Registers::too_many) setmaxnreg_increase<240>();
  } else {
    if (R == Registers::right || R == Registers::too_many || (R == Registers::one_warp && warp == 2))
      setmaxnreg_decrease<40>();
    if (R == Registers::wrong_way) setmaxnreg_decrease<176>();
    if (R == Registers::two_numbers) {
      if (warp == 3) setmaxnreg_decrease<48>();
      else setmaxnreg_decrease<40>();
    }
  }
  y[threadIdx.x] = 1;
}
template <Registers R>
bool run_share_registers() {
  std::vector<float> y(384);
  launch(kCudaDevice, "share_registers", share_registers<R>, 1, 384, 0, there(y));
  return y == std::vector<float>(384, 1.0f);
}

// The elected lane broadcasts a value of lane 0. With the bug it assumes that it is lane 0.
template <Bug B>
__global__ void elect(int* y) {
  const int mine = lane_of_warp() == 0 ? 7 : 0, of_first = __shfl_sync(0xffffffffu, mine, 0);
  if (elect_one()) atomicAdd(y, B == Bug::none ? of_first : mine);
}
template <Bug B>
bool run_elect() {
  int y[1] = {0};
  launch(kCudaDevice, "elect", elect<B>, 1, 64, 0, there(y));
  return y[0] == 14;
}

template <Bug B>
__global__ void impatient(const __grid_constant__ TensorMap x, float* y) {
  DynamicShared shared;
  const auto box = shared.take<float>(32, 128);
  const auto full = shared.take<Mbarrier>(1);
  if (threadIdx.x == 0) {
    mbarrier_init(full, 1);
    fence_mbarrier_init();
    mbarrier_arrive_expect_tx(full, 32 * 4);
    tma_load(box, x, full, 0, 0);
  }
  __syncthreads();
  while (!mbarrier_try_wait(full, 0) && B == Bug::none) {}
  y[threadIdx.x] = box[int(threadIdx.x)];
}
template <Bug B>
bool run_impatient() {
  alignas(16) float x[32];
  float y[32];
  for (int i = 0; i < 32; ++i) x[i] = float(i), y[i] = kNaN;
  launch(kCudaDevice, "impatient", impatient<B>, 1, 32, 256,
         tensor_map(there(x).data, {int64_t{1}, int64_t{32}}, {1, 32}, Swizzle::none), there(y));
  return std::equal(x, x + 32, y);
}

// ---- tensor cores -----------------------------------------------------------------------------------------

__device__ uint32_t two(const bf16* p) { return uint32_t(p[0].bits) | uint32_t(p[1].bits) << 16; }

// y = c + the sum of 16 products of a and b, in every lane, by mma and by wgmma. b (64, 64) has 64 equal
// rows.
__global__ void sum_by_mma(float* y, const bf16* a, const bf16* b, float c) {
  const int t = 2 * (lane_of_warp() % 4);
  const uint32_t fa[4] = {two(a + t), two(a + t), two(a + t + 8), two(a + t + 8)};
  const uint32_t fb[2] = {two(b + t), two(b + t + 8)};
  float d[4] = {c, c, c, c};
  mma_m16n8k16<bf16>(d, fa, fb);
  y[threadIdx.x] = d[0];
}
template <Bug B>
__global__ void __launch_bounds__(128)
    sum_by_wgmma(float* y, const bf16* a, const __grid_constant__ TensorMap b, float c) {
  DynamicShared shared;
  const auto sb = shared.take<bf16>(64 * 64, 1024);
  const auto full = shared.take<Mbarrier>(1);
  const int t = 2 * (lane_of_warp() % 4);
  if (threadIdx.x == 0) {
    mbarrier_init(full, 1);
    fence_mbarrier_init();
    mbarrier_arrive_expect_tx(full, 64 * 64 * 2);
    tma_load(sb, b, full, 0, 0);
  }
  __syncthreads();
  mbarrier_wait(full, 0);
  uint32_t fa[4] = {two(a + t), two(a + t), two(a + t + 8), two(a + t + 8)};
  float d[32];
  for (int i = 0; i < 32; ++i) d[i] = c;
  wgmma_fence(d);
  wgmma_m64k16(d, fa, operand_k_major(sb, 0), true);
  wgmma_commit();
  if (B == Bug::planted) fa[0] = 0;
  wgmma_wait<0>(d);
  y[threadIdx.x] = d[0];
}

struct Summands {
  float c;
  std::vector<std::pair<float, float>> products;
};
Summands same(float c, int count, float a, float b) {
  return {c, std::vector<std::pair<float, float>>(size_t(count), {a, b})};
}
Summands after(float a, float b, Summands s) {
  s.products.insert(s.products.begin(), {a, b});
  return s;
}

template <Bug B = Bug::none>
float run_sum(const Summands& s, bool by_wgmma) {
  alignas(16) bf16 a[16], b[64 * 64];
  for (int k = 0; k < 16; ++k) a[k] = b[k] = bf16(0.0f);
  for (size_t k = 0; k < s.products.size(); ++k)
    a[k] = bf16(s.products[k].first), b[k] = bf16(s.products[k].second);
  for (int i = 1; i < 64; ++i) std::copy_n(b, 64, b + i * 64);
  float y[128];
  if (by_wgmma)
    launch(kCudaDevice, "sum_by_wgmma", sum_by_wgmma<B>, 1, 128, 64 * 64 * 2 + 64, there(y), there(a),
           tensor_map(there(b).data, {int64_t{64}, int64_t{64}}, {64, 64}), s.c);
  else launch(kCudaDevice, "sum_by_mma", sum_by_mma, 1, 32, 0, there(y), there(a), there(b), s.c);
  for (int i = 1; i < (by_wgmma ? 128 : 32); ++i) CHECK(y[i] == y[0]);
  return y[0];
}

}  // namespace

TEST_CASE("what threads wrote is seen by TMA and wgmma after fences of their own, before a barrier") {
  check_right(in_every_schedule(run_fenced_store<Fence::by_writers>));
  check_right(in_every_schedule(run_fenced_operand<Fence::by_writers>));
  const char *store = "tma_store uses shared memory that thread", *operand = "wgmma uses shared memory that";
  check_stopped(in_every_schedule(run_fenced_store<Fence::none>), "fenced_store", store);
  check_stopped(in_every_schedule(run_fenced_store<Fence::by_issuer>), "fenced_store", store);
  check_stopped(in_every_schedule(run_fenced_store<Fence::after_barrier>), "fenced_store", store);
  check_stopped(in_every_schedule(run_fenced_store<Fence::of_mbarriers>), "fenced_store", store);
  check_stopped(in_every_schedule(run_fenced_operand<Fence::none>), "fenced_operand", operand);
  check_stopped(in_every_schedule(run_fenced_operand<Fence::by_issuer>), "fenced_operand", operand);
}

TEST_CASE("TMA fills what was read after a barrier that waits for the reads, or a fence") {
  check_right(in_every_schedule(run_refill<Reuse::block_barrier>));
  check_right(in_every_schedule(run_refill<Reuse::arrival>));
  check_right(in_every_schedule(run_refill<Reuse::fence>));
  check_right(in_every_schedule(run_refill<Reuse::arrival, const float>));
  const char* words = "tma_load fills shared memory that thread";
  check_stopped(in_every_schedule(run_refill<Reuse::warp_barrier>), "refill", words);
  check_stopped(in_every_schedule(run_refill<Reuse::warp_barrier, const float>), "refill", words);
  CHECK(in_every_schedule(run_refill<Reuse::nothing>).right == 0);
}

TEST_CASE("a wait for TMA's reads frees the source and says nothing of the destination") {
  check_right(in_every_schedule(run_store_and_look<false>));
  CHECK(in_every_schedule(run_store_and_look<true>).right == 0);
  check_right(in_every_schedule(run_store_and_look<true>, emulate::Copies::early));
}

TEST_CASE("setmaxnreg takes from the registers of the block, by whole warpgroups") {
  check_right(in_every_schedule(run_share_registers<Registers::right>));
  const auto stopped = [](auto run, const char* words) {
    check_stopped(in_every_schedule(run), "share_registers", words);
  };
  stopped(run_share_registers<Registers::too_many>, "for registers that setmaxnreg_decrease frees");
  stopped(run_share_registers<Registers::none_freed>, "for registers that setmaxnreg_decrease frees");
  stopped(run_share_registers<Registers::one_warp>, "of a warpgroup ran");
  stopped(run_share_registers<Registers::two_numbers>, "of the same warpgroup");
  stopped(run_share_registers<Registers::wrong_way>, "setmaxnreg_decrease from 168 to 176");
}

TEST_CASE("elect_one may elect any lane, and mbarrier_try_wait may fail") {
  check_right(in_every_schedule(run_elect<Bug::none>));
  check_caught(in_every_schedule(run_elect<Bug::planted>));
  check_right(in_every_schedule(run_impatient<Bug::none>));
  check_caught(in_every_schedule(run_impatient<Bug::planted>));
}

TEST_CASE("fragments of a wgmma stay until the wait") {
  const auto run = [](auto sum) { return [=] { return sum({1, {{2, 3}}}, true) == 7; }; };
  check_right(in_every_schedule(run(run_sum<Bug::none>)));
  check_stopped(in_every_schedule(run(run_sum<Bug::planted>)), "sum_by_wgmma",
                "registers of a wgmma's a changed");
}

TEST_CASE("tensor cores add as GPUs do, where that is asked for") {
  const auto power = [](int e) { return std::ldexp(1.0f, e); };
  struct {
    Summands sum;
    float rounded, hopper, ampere;
  } const cases[] = {
      {same(1, 1, 1.5f, power(-23)), 1 + power(-22), 1 + power(-23),
       1 + power(-23)},  // the result is cut off
      {same(-1, 1, 1.5f, -power(-23)), -1 - power(-22), -1 - power(-23), -1 - power(-23)},
      {same(1, 16, 1, power(-24)), 1, 1 + power(-20), 1 + power(-20)},  // the products are added at once
      {same(1, 16, 1, power(-25)), 1, 1 + power(-21), 1},               // 25 bits, or 24
      {same(1, 16, 1, power(-26)), 1, 1, 1},
      // The exponent of a product is the sum of those of its factors: 0 for 1.5 x 1.5.
      {after(1.5f, 1.5f, same(0, 15, 1, power(-25))), 2.25f, 2.25f + power(-22), 2.25f},
      {same(0, 1, power(-100), power(-20)), power(-120), power(-120), power(-120)},
      {same(INFINITY, 1, 1, 1), INFINITY, INFINITY, INFINITY},
      {same(0, 1, 0, 1), 0, 0, 0},
  };
  for (const auto& [sum, rounded, hopper, ampere] : cases) {
    CAPTURE(&sum - &cases[0].sum);
    for (bool by_wgmma : {false, true}) CHECK(run_sum(sum, by_wgmma) == rounded);
    emulate::set_tensor_cores(emulate::TensorCores::truncate);
    for (bool by_wgmma : {false, true}) CHECK(run_sum(sum, by_wgmma) == hopper);
    emulate::set_compute_capability(80);
    CHECK(run_sum(sum, false) == ampere);
    emulate::set_compute_capability(90);
    emulate::set_tensor_cores(emulate::TensorCores::round);
  }
}

}  // namespace dae
