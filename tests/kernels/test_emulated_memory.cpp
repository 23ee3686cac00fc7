// Memory, streams and devices of the emulated device. What a GPU forbids, or what silently gives a wrong
// result there, must stop with a message or give a wrong result here. Each test plants the bug.
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>

#include "tests/support/device_array.h"
#include "tests/support/error_of.h"
#include "tests/support/orders.h"

namespace dae {

namespace {

void synchronise() { check(cudaStreamSynchronize(gpu_stream()), "waiting"); }

template <class F>
std::string stopped(F f) {
  return error_of(f, Fault::internal);
}

// Returns what f writes to stderr in a child process, which must end with exit code 1. f must use one core
// only.
std::string line_of_child(const std::function<void()>& f) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    f();
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  for (char c; read(ends[0], &c, 1) == 1;) text += c;
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 1);
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  return text;
}
void check_has(const std::string& text, const std::string& part) {
  INFO("expected \"", part, "\" in: ", text);
  CHECK(text.find(part) != std::string::npos);
}

// y[at + i] = x[from + i] for one element a thread
__global__ void copy_kernel(float* y, const float* x, int at, int from) {
  y[at + int(threadIdx.x)] = x[from + int(threadIdx.x)];
}
void copy(float* y, const float* x, unsigned n, int at = 0, int from = 0) {
  launch(device(), "copy", copy_kernel, 1, n, 0, y, x, at, from);
}

struct Pointers {
  int n;
  const float* x;
};
__global__ void of_struct(float* y, Pointers p) { y[threadIdx.x] = p.x[threadIdx.x]; }
// Every block but the first faults, while the first is busy; so the fault happens on another thread of the
// host.
__global__ void faults(float* y) {
  float sum = 0;
  for (int i = 0; blockIdx.x == 0 && i < 20'000'000; ++i) sum += y[i % 64];
  y[blockIdx.x == 0 ? 0 : 64] = sum;
}
template <class F>
__global__ void of_lambda(float* y, F f) {
  y[threadIdx.x] = f(int(threadIdx.x));
}
__global__ void report_kernel(WrongIndex* report, const char* op, int n) {
  if (threadIdx.x == 0) *report = {op, n, n};
}

}  // namespace

TEST_CASE("the host's code cannot touch memory of the device") {
  const Array<float> x(3, 1);
  copy(x.data, x.data, 3);
  const std::string read = line_of_child([&] { [[maybe_unused]] volatile float v = x.data[2]; });
  check_has(read, "dae: emulated device: the host's code reads byte 8 of an allocation of 12 bytes");
  check_has(line_of_child([&] { x.data[1] = 0; }), "the host's code writes byte 4 of an allocation of 12");
  std::vector<float> host(3);
  check_has(line_of_child([&] { std::memcpy(host.data(), x.data, 12); }), "the host's code reads byte");
  CHECK(x.download() == x.host);
}

TEST_CASE("a fault that has nothing to do with the device ends the process as ever") {
  const Array<float> x(3, 1);
  const pid_t child = fork();
  if (child == 0) {
    *reinterpret_cast<volatile int*>(8) = 1;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
}

TEST_CASE("an argument of a kernel cannot be memory of the host, wherever in it the address stands") {
  std::vector<float> host(5, 1.0f);
  const float on_stack[5] = {};
  Array<float> y(5);
  const char* const line = "an address of the host's memory";
  check_has(stopped([&] { copy(y.data, host.data(), 5); }), line);
  check_has(stopped([&] { copy(y.data, on_stack, 5); }), line);
  check_has(stopped([&] {
              launch(device(), "of_struct", of_struct, 1, 5, 0, y.data, Pointers{5, host.data()});
            }),
            "kernel of_struct: an argument holds 0x");
  const float* pointer = host.data();
  auto f = [pointer](int i) { return pointer[i]; };
  check_has(stopped([&] { launch(device(), "of_lambda", of_lambda<decltype(f)>, 1, 5, 0, y.data, f); }),
            line);
  // Pinned memory and the name of an op are not refused.
  launch(device(), "report", report_kernel, 1, 32, 0, wrong_index(), "op", 7);
  check_has(stopped([&] { y.download(); }), "op: index 7 is not in [0, 7)");
}

TEST_CASE("one element beside an allocation stops") {
  for (const int64_t n : {64, 67}) {  // the memory ends at the page that nobody can touch, or before it
    CAPTURE(n);
    Array<float> x(n, 1), y(n);
    copy(y.data, x.data, unsigned(n));
    CHECK(y.download() == x.host);
    const std::string beside = " an allocation of " + std::to_string(4 * n) + " bytes of device 0";
    check_has(stopped([&] { copy(y.data, x.data, unsigned(n), 1), synchronise(); }),
              (n == 64 ? "writes byte " : "wrote byte ") + std::to_string(4 * n) + " of" + beside);
    check_has(stopped([&] { copy(y.data, x.data, unsigned(n), -1), synchronise(); }),
              "wrote byte -4 of" + beside);
    copy(y.data, x.data, unsigned(n));  // the write outside y had no lasting effect
    synchronise();
    if (n == 64)
      check_has(stopped([&] { copy(y.data, x.data, unsigned(n), 0, 1), synchronise(); }),
                "kernel copy: block (0, 0, 0), thread (63, 0, 0): reads byte 256 of" + beside);
    copy(y.data, x.data, unsigned(n) - 1, 0, 1);
    const std::vector<float> in_range = y.download();
    CHECK(in_range[0] == x.host[1]);
    check_has(stopped([&] { gpu_fill_bytes(y.data, 0, 4 * size_t(n) + 1); }), "a memset: ");
    check_has(stopped([&] { gpu_copy(y.data + 1, x.data, 4 * size_t(n)); }), "a copy to the device: ");
    std::vector<float> more(size_t(n) + 1);
    check_has(stopped([&] { gpu_download(more.data(), y.data, 4 * more.size()); }),
              "a copy from the device: ");
  }
}

TEST_CASE("memory that reads beyond an allocation of odd size is NaN, and new memory is") {
  Array<float> x(67, 1), y(67);
  copy(y.data, x.data, 67, 0, 1);
  CHECK(std::isnan(y.download()[66]));
  float* fresh = static_cast<float*>(gpu_allocate(12));
  copy(y.data, fresh, 3);
  for (int i = 0; i < 3; ++i) CHECK(std::isnan(y.download()[size_t(i)]));
  gpu_free(fresh);
}

TEST_CASE("freed memory cannot be used, and its address is not given out again") {
  Array<float> y(5);
  float* freed = static_cast<float*>(gpu_allocate(20));
  gpu_fill_bytes(freed, 0, 20);
  gpu_free(freed);
  const Array<float> later(5);
  CHECK(later.data != freed);
  check_has(stopped([&] { copy(y.data, freed, 5), synchronise(); }),
            "kernel copy: block (0, 0, 0), thread (0, 0, 0): reads byte 0 of a freed allocation of 20 bytes");
  check_has(stopped([&] { gpu_copy(y.data, freed, 20); }), "a freed allocation of 20 bytes");
  check_has(stopped([&] { gpu_free(freed); }), "a release of");
  check_has(stopped([&] { gpu_free(y.data + 1); }), "byte 4 of an allocation of 20");
  check_has(line_of_child([&] { *freed = 0; }), "the host's code writes byte 0 of a freed allocation");
}

TEST_CASE("a kernel cannot touch memory that it was not given") {
  const Array<float> x(5), other(5);
  Array<float> y(5);
  check_has(stopped([&] { copy(y.data, x.data, 5, 0, int(other.data - x.data)), synchronise(); }),
            "reads byte 0 of an allocation of 20 bytes");
}

TEST_CASE("a fault on any of the threads that run blocks stops") {
  Array<float> y(64);
  check_has(stopped([&] {
              launch(device(), "faults", faults, 64, 1, 0, y.data);
              synchronise();
            }),
            "writes byte 256 of an allocation of 256 bytes");
}

TEST_CASE("of the memory for a function's kernels the next call spoils what the last one gave") {
  Array<float> x(5, 1), y(5);
  auto* first = static_cast<float*>(workspace(device(), 20));
  copy(first, x.data, 5);
  copy(y.data, first, 5);
  CHECK(y.download() == x.host);
  auto* second = static_cast<float*>(workspace(device(), 24));
  copy(y.data, first, 5);
  CHECK(std::isnan(y.download()[0]));
  copy(second, x.data, 5);
  CHECK(workspace(device(), 20) == first);
  check_has(stopped([&] { copy(first, x.data, 5, 1), synchronise(); }),
            "wrote byte 20 of an allocation of 20");
}

// ---- streams ----------------------------------------------------------------------------------------------

namespace {

struct Late {
  Late() { emulate::set_late(true); }
  ~Late() { emulate::set_late(false); }
};

}  // namespace

TEST_CASE("late streams show a missing wait, and not one that is there") {
  const Late late;
  Array<float> x(5, 1), y(5);
  void* memory = nullptr;
  check(cudaMallocHost(&memory, 20), "pinned memory");
  auto* host = static_cast<float*>(memory);
  std::fill_n(host, 5, 0.0f);
  const auto fetch = [&] {
    copy(y.data, x.data, 5);
    check(cudaMemcpyAsync(host, y.data, 20, cudaMemcpyDeviceToHost, gpu_stream()), "a download");
  };
  fetch();
  CHECK(std::equal(host, host + 5, std::vector<float>(5).begin()));  // the planted bug: no wait
  synchronise();
  CHECK(std::equal(host, host + 5, x.host.begin()));
  // Host memory is filled again before the device has read it, as happens without the wait for the event.
  cudaEvent_t read;
  check(cudaEventCreateWithFlags(&read, cudaEventDisableTiming), "an event");
  for (const bool waits : {false, true}) {
    std::fill_n(host, 5, 1.0f);
    check(cudaMemcpyAsync(x.data, host, 20, cudaMemcpyHostToDevice, gpu_stream()), "an upload");
    check(cudaEventRecord(read, gpu_stream()), "an event");
    if (waits) check(cudaEventSynchronize(read), "an event");
    std::fill_n(host, 5, 2.0f);
    CHECK(x.download()[0] == (waits ? 1.0f : 2.0f));
  }
  cudaEventDestroy(read);
}

TEST_CASE("an upload through the two buffers of pinned memory, late or not") {
  for (const bool late : {false, true}) {
    emulate::set_late(late);
    std::vector<int> values(size_t{13} << 20);  // 52 MiB, buffers of 16
    for (size_t i = 0; i < values.size(); ++i) values[i] = int(i);
    const Array<int> there(values);
    CHECK(there.download() == values);
  }
  emulate::set_late(false);
}

TEST_CASE("late work happens when memory is freed, a queue is full, or its error is asked for") {
  const Late late;
  Array<float> x(5, 1);
  const Array<float> y(5);
  {
    const Array<float> between(5);
    copy(between.data, x.data, 5);
    copy(y.data, between.data, 5);
  }
  CHECK(y.download() == x.host);
  copy(x.data, y.data, 5, 1);  // writes past the end, which is not reported yet
  check_has(stopped(synchronise), "wrote byte 20");
  for (int i = 0; i < 2000; ++i) copy(x.data, y.data, 5);
  CHECK(x.download() == x.host);
}

TEST_CASE("work on the default stream, and waits within a capture, stop") {
  Array<float> x(5, 1), y(5);
  check_has(stopped([&] { launch(Cuda{}, "copy", copy_kernel, 1, 5, 0, y.data, x.data, 0, 0); }),
            "copy: on the default stream, for which nobody waits; expected gpu_stream()");
  gpu_begin_capture();
  copy(y.data, x.data, 5);
  check_has(stopped(synchronise), "a wait: in a capture");
  check_has(stopped([] { gpu_seconds([] {}); }), "a wait for an event: in a capture");
  check_has(stopped([] { gpu_begin_capture(); }), "a capture: within another");
  gpu_drop_capture();
  CHECK(y.download() == std::vector<float>(5));
}

TEST_CASE("a graph does its work when it is launched, late or not, also after it was freed") {
  for (const bool late : {false, true}) {
    CAPTURE(late);
    emulate::set_late(late);
    Array<float> x(5, 1), y(5);
    gpu_begin_capture();
    copy(y.data, x.data, 5);
    GpuGraph* graph = gpu_end_capture();
    CHECK(y.download() == std::vector<float>(5));
    gpu_launch(graph);
    gpu_free(graph);
    CHECK(y.download() == x.host);
  }
  emulate::set_late(false);
}

TEST_CASE("seconds of the device are those of the work between") {
  for (const bool late : {false, true}) {
    emulate::set_late(late);
    Array<float> x(5, 1), y(5);
    const double none = gpu_seconds([] {}), some = gpu_seconds([&] {
                                              for (int i = 0; i < 200; ++i) copy(y.data, x.data, 5);
                                            });
    CHECK(none >= 0);
    CHECK(some > none);
  }
  emulate::set_late(false);
}

// ---- devices ----------------------------------------------------------------------------------------------

namespace {

struct OnDevice {
  explicit OnDevice(int device) { use_gpu(device); }
  ~OnDevice() { use_gpu(0); }
};

}  // namespace

TEST_CASE("a device's memory and streams are not the other's") {
  const Array<float> here(5, 1);
  Array<float> y(5);
  Stream elsewhere = nullptr;
  float* there = nullptr;
  {
    const OnDevice one(1);
    CHECK(gpu_name() == "emulated device 1, sm_90");
    check(cudaStreamCreateWithFlags(&elsewhere, cudaStreamNonBlocking), "a stream");
    there = static_cast<float*>(gpu_allocate(20));
    check_has(stopped([&] { copy(y.data, here.data, 5); }),
              "copy: on a stream of device 0 while device 1 is in use");
    check_has(stopped([&] { launch(Cuda{elsewhere}, "copy", copy_kernel, 1, 5, 0, there, here.data, 0, 0); }),
              "kernel copy: an argument holds byte 0 of an allocation of 20 bytes of device 0, and it runs "
              "on device 1");
    launch(Cuda{elsewhere}, "copy", copy_kernel, 1, 5, 0, there, there, 0, 0);
  }
  check_has(stopped([&] { copy(y.data, there, 5); }), "of device 1, and it runs on device 0");
  check_has(stopped([&] { gpu_copy(y.data, there, 20); }), "expected them within one of device 0");
  gpu_free(there);
  CHECK(gpu_name() == "emulated device 0, sm_90");
  check_has(error_of([] { use_gpu(2); }, Fault::usage),
            "--device: expected one of 2 CUDA devices, found cuda:2");
}

// ---- multiprocessors --------------------------------------------------------------------------------------

namespace {

// Sums x with as many blocks as the device has multiprocessors. If Right, each block takes one of `parts`
// parts after the other, and the parts are added in order, so the result does not depend on the number of
// blocks.
template <bool Right>
__global__ void persistent_sum(float* part_of, const float* x, int n, int parts) {
  const int step = Right ? parts : int(gridDim.x);
  for (int part = int(blockIdx.x); part < step; part += int(gridDim.x)) {
    float sum = 0;
    for (int i = part; i < n; i += step) sum += x[i];
    part_of[part] = sum;
  }
}

template <bool Right>
std::vector<float> sums() {
  const Array<float> x(1000, 1);
  Array<float> parts(200);
  std::vector<float> totals;
  in_every_order([&] {
    parts.upload();
    const int blocks = std::min(200, multiprocessors(device()));
    launch(device(), "persistent_sum", persistent_sum<Right>, blocks, 1, 0, parts.data, x.data, 1000, 200);
    float total = 0;
    for (const float part : parts.download()) total += part;
    totals.push_back(total);
  });
  return totals;
}

}  // namespace

TEST_CASE("a result that depends on the number of multiprocessors is seen in the orders of the tests") {
  const std::vector<float> right = sums<true>(), wrong = sums<false>();
  CHECK(std::count(right.begin(), right.end(), right[0]) == int64_t(right.size()));
  CHECK(std::count(wrong.begin(), wrong.end(), wrong[0]) < int64_t(wrong.size()));
}

}  // namespace dae
