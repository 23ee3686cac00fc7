// The emulated device: barriers, shared memory and copies. For every check there is a kernel with the bug
// that it finds (emulator.h).
#include "tests/support/emulator.h"

namespace dae {

namespace {

// ---- barriers of a block and a warp -----------------------------------------------------------------------

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
  launch(kCudaDevice, "reverse", reverse<B>, 1, 128, 0, there(y), there(x));
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

// Sums over warps and over blocks whose size is not a power of two.
__global__ void sums(float* y, const float* x, int n) {
  float of_block = 0;
  for (int i = int(threadIdx.x); i < n; i += int(blockDim.x)) of_block += x[i];
  of_block = block_reduce(of_block, Sum());
  const float most = block_reduce(int(threadIdx.x) < n ? x[threadIdx.x] : -INFINITY, Maximum());
  y[2 * threadIdx.x] = of_block, y[2 * threadIdx.x + 1] = most;
}

// ---- asynchronous copies ----------------------------------------------------------------------------------

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
  launch(kCudaDevice, "copy_16", copy_16<B>, 1, 32, 0, there(y), there(x));
  for (int i = 0; i < 128; ++i)
    if (y[i] != (i < 126 ? x[i] : 0)) return false;
  return true;
}

enum class Tma { right, no_wait, no_init_fence, no_proxy_fence, small_view, no_store_wait };

// y = 2 x for a tensor (rows, 64) of floats. A block takes 8 rows, in boxes of (8, 32).
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
         tensor_map(there(x).data, {rows, int64_t{64}}, {8, 32}, swizzle),
         tensor_map(there(y).data, {rows, int64_t{64}}, {8, 32}, swizzle));
  for (int i = 0; i < rows * 64; ++i)
    if (y[i] != 2 * x[i]) return false;
  return true;
}

// Reads a box that reaches beyond every edge of (n, h, w, c), with every second row and column. Elements
// outside are 0.
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
                  launch(kCudaDevice, "two_barriers", two_barriers, 1, 128, 0, there(y));
                  return true;
                }),
                "two_barriers", "divergent barrier");
  check_stopped(in_every_schedule([&] {
                  launch(kCudaDevice, "early_return", early_return, 3, 128, 0, there(y), 100);
                  return true;
                }),
                "early_return", "divergent barrier");
  check_stopped(in_every_schedule([&] {
                  launch(kCudaDevice, "half_a_warp", half_a_warp, 1, 64, 0, there(y));
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
                  launch(kCudaDevice, "wrong_bound", wrong_bound, 1, 128, 0, there(y), 64);
                  return true;
                }),
                "wrong_bound", "index 64 of 64 elements");
  check_stopped(in_every_schedule([] {
                  launch(kCudaDevice, "more_than_launched", more_than_launched, 1, 32, 512);
                  return true;
                }),
                "more_than_launched", "260 bytes of dynamic shared memory from 256 on; the launch gave 512");
  launch(kCudaDevice, "uninitialised", uninitialised, 1, 32, 0, there(y));
  for (int i = 0; i < 32; ++i) CHECK(std::isnan(y[size_t(i)]));
}

TEST_CASE("reductions") {
  std::vector<float> x(1000);
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(random_bits({3, 0, 0}, i) % 100) - 50;
  for (int threads : {32, 96, 1024})
    for (int n : {1, 31, 1000})
      check_right(in_every_schedule([&] {
        std::vector<float> y(size_t(2 * threads), kNaN);
        launch(kCudaDevice, "sums", sums, 1, unsigned(threads), 0, there(y), there(x), n);
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

TEST_CASE("copies that are early are right as well") {
  check_right(in_every_schedule(run_copy_16<Bug::none>, emulate::Copies::early));
  check_right(in_every_schedule([] { return run_twice<Tma::right>(); }, emulate::Copies::early));
}

TEST_CASE("a TMA box with steps that hangs over the edges") {
  const int n = 2, h = 5, w = 6, c = 8;
  alignas(16) float x[n * h * w * c];
  for (int i = 0; i < n * h * w * c; ++i) x[i] = float(i + 1);
  TensorBox b{4, {n, h, w, c}, {h * w * c, w * c, c, 1}, {1, 3, 4, 8}, {1, 2, 2, 1}};
  for (int h0 : {-2, 0, 1, 3})
    for (int w0 : {-1, 0, 5, -9}) {
      float y[3 * 4 * 8];
      launch(kCudaDevice, "window", window, 1, 32, 1024,
             tensor_map(there(x).data, 4, false, b, Swizzle::none), there(y), h0, w0);
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

}  // namespace dae
