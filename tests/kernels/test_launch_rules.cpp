// The limits of a launch on the hardware, which the emulated device enforces: shared memory of a block by
// compute capability, and 48 KB unless the kernel asks for more; kernel arguments; threads; clusters. Each
// rule is tested by a launch that keeps it and one that breaks it.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "kernels/attention/variants.h"
#include "kernels/device/device.h"
#include "kernels/device/gpu.h"
#include "tests/support/device_array.h"

namespace dae {

namespace {

constexpr int64_t kKilo = 1024;

// Returns the message with which f stops; empty if it does not stop.
template <class F>
std::string stopped(F f) {
  try {
    f();
  } catch (const Error& e) { return e.what(); }
  return {};
}
#define CHECK_STOPPED(words, ...)                      \
  do {                                                 \
    const std::string line = stopped([&] __VA_ARGS__); \
    CAPTURE(line);                                     \
    CHECK(line.find(words) != std::string::npos);      \
  } while (false)

struct Capability {  // sets the compute capability while it lives
  explicit Capability(int capability) { emulate::set_compute_capability(capability); }
  ~Capability() { emulate::set_compute_capability(90); }
};

// A kernel with 48 floats of static shared memory beside the dynamic one. Each Case is a kernel of its own,
// because a request for more shared memory is for one kernel.
template <int Case>
__global__ void both_kinds(int floats) {
  SHARED(float, own, 48);
  DynamicShared shared;
  const auto given = shared.take<float>(floats);
  own[int(threadIdx.x)] = given[int(threadIdx.x)] = 1;
}
template <int Case>
void launch_both_kinds(int64_t bytes) {
  launch(device(), "both_kinds", both_kinds<Case>, 1, 32, size_t(bytes), int(bytes / 4));
}
// The same launch, but without a request for more than 48 KB.
template <int Case>
void launch_unasked(int64_t bytes) {
  emulate::run({"both_kinds", reinterpret_cast<const void*>(both_kinds<Case>)}, dim3(1), 1, dim3(32),
               size_t(bytes), [bytes] { both_kinds<Case>(int(bytes / 4)); });
}

template <class T>
__global__ void takes_argument(T) {}
struct Bytes4096 {
  char data[4096];
};
struct Bytes4095 {
  char data[4095];
};

__global__ void __launch_bounds__(128) small_block() {}
template <int Threads>
__global__ void __launch_bounds__(Threads + 32, 1) small_block_of() {}
__global__ void any_block() {}

}  // namespace

TEST_CASE("a block has 48 KB, its kernel's own arrays among them, unless the kernel asks") {
  const std::string refused = "bytes of shared memory; a block has 49152 unless its kernel asks";
  CHECK(stopped([] { launch_unasked<0>(47 * kKilo); }).empty());
  // The 192 bytes of `own` count as 1024, since dynamic shared memory begins on a boundary of 1024.
  CHECK_STOPPED("both_kinds", { launch_unasked<1>(47 * kKilo + 4); });
  CHECK_STOPPED("50172 " + refused, { launch_unasked<1>(48 * kKilo - 4); });
  CHECK_STOPPED("50112 " + refused, { launch_unasked<1>(49088); });
  for (const int64_t bytes :
       {int64_t{4096}, 47 * kKilo, 47 * kKilo + 4, int64_t{49088}, 48 * kKilo, 200 * kKilo})
    CHECK(stopped([bytes] { launch_both_kinds<2>(bytes); }).empty());
}

TEST_CASE("a kernel that asked for more keeps it when a later launch needs less") {
  gpu_begin_capture();
  launch_both_kinds<3>(120 * kKilo);
  GpuGraph* const graph = gpu_end_capture();
  launch_both_kinds<3>(60 * kKilo);
  launch_both_kinds<3>(4 * kKilo);
  CHECK(stopped([&] { gpu_launch(graph); }).empty());
  // The planted bug: the limit is lowered.
  cudaFuncSetAttribute(reinterpret_cast<const void*>(both_kinds<3>),
                       cudaFuncAttributeMaxDynamicSharedMemorySize, 60 * kKilo);
  CHECK_STOPPED("122880 bytes of dynamic shared memory, and the kernel asked for 61440",
                { gpu_launch(graph); });
  gpu_free(graph);
}

TEST_CASE("a block's shared memory ends where that of the compute capability does") {
  const struct {
    int capability;
    int64_t kilobytes;
  } limits[] = {{80, 163}, {86, 99}, {87, 163}, {89, 99}, {90, 227}, {100, 227}, {120, 99}};
  for (const auto& [capability, kilobytes] : limits) {
    CAPTURE(capability);
    const Capability of(capability);
    const int64_t limit = kilobytes * kKilo;
    CHECK(shared_memory_limit(device()) == limit);
    CHECK(stopped([&] { launch_both_kinds<4>(limit - kKilo); }).empty());
    CHECK_STOPPED("bytes of shared memory; a block",
                  { launch_both_kinds<4>(limit - kKilo + 4); });  // plus `own`
    CHECK_STOPPED("bytes of shared memory; a block", { launch_both_kinds<4>(limit + 4); });
  }
}

TEST_CASE("the arguments of a kernel have 4 KB") {
  CHECK(stopped([] { launch(device(), "fits", takes_argument<Bytes4096>, 1, 32, 0, Bytes4096{}); }).empty());
  struct Bytes4097 {
    Bytes4096 data;
    char more;
  };
  CHECK_STOPPED("kernel large: 4097 bytes of arguments; at most 4096",
                { launch(device(), "large", takes_argument<Bytes4097>, 1, 32, 0, Bytes4097{}); });
  static_assert(emulate::argument_bytes<Bytes4095, double>() == 4104);  // with padding before the second
  static_assert(emulate::argument_bytes<>() == 0);
}

TEST_CASE("a block has no more threads than the kernel's launch bounds") {
  CHECK(stopped([] { launch(device(), "small_block", small_block, 1, 128, 0); }).empty());
  CHECK_STOPPED("kernel small_block: 160 threads a block; its launch bounds are 128",
                { launch(device(), "small_block", small_block, 1, 160, 0); });
  CHECK(stopped([] { launch(device(), "small_block", small_block_of<352>, 1, 384, 0); }).empty());
  CHECK_STOPPED("its launch bounds are 384",
                { launch(device(), "small_block", small_block_of<352>, 1, dim3(8, 49), 0); });
  CHECK(stopped([] { launch(device(), "any_block", any_block, 1, 1024, 0); }).empty());
  CHECK_STOPPED("1025 threads", { launch(device(), "any_block", any_block, 1, 1025, 0); });
  CHECK(stopped([] { launch(device(), "any_block", any_block, 1, dim3(4, 4, 64), 0); }).empty());
  CHECK_STOPPED("65 deep", { launch(device(), "any_block", any_block, 1, dim3(1, 1, 65), 0); });
}

TEST_CASE("clusters are there from compute capability 90 on") {
  CHECK(stopped([] { launch(device(), "any_block", any_block, Grid(4).in_clusters(2), 32, 0); }).empty());
  const Capability of(89);
  CHECK_STOPPED("clusters", { launch(device(), "any_block", any_block, Grid(4).in_clusters(2), 32, 0); });
}

namespace {

template <class T>
std::vector<double> values(const Array<T>& x) {
  const std::vector<T> narrow = x.download();
  return {narrow.begin(), narrow.end()};
}
double error(const std::vector<double>& a, const std::vector<double>& b) {
  double d = 0, n = 0;
  for (size_t i = 0; i < b.size(); ++i) d += (a[i] - b[i]) * (a[i] - b[i]), n += b[i] * b[i];
  return std::sqrt(d / n);
}

// The limits of test_attention.cpp.
template <class T>
void check_attention(int64_t tokens, int64_t head_dim) {
  CAPTURE(tokens);
  CAPTURE(head_dim);
  CAPTURE(sizeof(T));
  const double limit = std::is_same_v<T, float> ? 1e-5 : 3 * 0x1p-8;
  const AttentionShape s{1, 1, tokens, tokens, head_dim, head_dim, head_dim, false};
  const int64_t n = tokens * head_dim;
  const Array<T> q(n, 1), k(n, 2), v(n, 3), dy(n, 4), y(n), dq(n), dk(n), dv(n);
  const Array<float> lse(tokens);
  attention_forward(device(), y.data, lse.data, q.data, k.data, v.data, s);
  attention_backward(device(), dq.data, dk.data, dv.data, dy.data, y.data, lse.data, q.data, k.data, v.data,
                     s);
  const auto q64 = values(q), k64 = values(k), v64 = values(v), dy64 = values(dy);
  std::vector<double> ey(q64.size()), edq(q64.size()), edk(q64.size()), edv(q64.size());
  std::vector<double> elses(static_cast<size_t>(tokens));
  attention_forward(Cpu{}, ey.data(), elses.data(), q64.data(), k64.data(), v64.data(), s);
  attention_backward(Cpu{}, edq.data(), edk.data(), edv.data(), dy64.data(), ey.data(), elses.data(),
                     q64.data(), k64.data(), v64.data(), s);
  CHECK(error(values(y), ey) < limit);
  CHECK(error(values(dq), edq) < limit);
  CHECK(error(values(dk), edk) < limit);
  CHECK(error(values(dv), edv) < limit);
}

}  // namespace

TEST_CASE("attention takes a variant whose blocks fit the device") {
  for (const int capability : {80, 86, 90}) {
    CAPTURE(capability);
    const Capability of(capability);
    check_attention<bf16>(256, 64);
    check_attention<bf16>(128, 128);
    check_attention<bf16>(256, 128);  // whole: 139 KB
    check_attention<bf16>(33, 512);   // blocks: 107 KB forward, 150 KB backward
    check_attention<float>(37, 256);
    const AttentionShape s{1, 1, 256, 256, 128, 128, 128, false};
    CHECK(attention_takes(AttentionVariant::whole, device(), AttentionForward<bf16>{.shape = s}) ==
          (capability != 86));
    CHECK(attention_takes(AttentionVariant::blocks, device(), AttentionBackward<bf16>{.shape = s}));
  }
}

}  // namespace dae
