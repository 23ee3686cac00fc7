// The functions of gpu.h, by the CUDA Runtime API or the emulated device's version of it.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/device/error.h"
#include "kernels/device/gpu.h"

namespace dae {

namespace {

bool capturing = false;

void refuse_capture(const char* what) {
  if (capturing)
    fail(Fault::usage, "capture: expected a step that stays on the device, found {} in it", what);
}

void fail_on_wrong_index() {
  const WrongIndex found = std::exchange(*wrong_index(), {});
  if (found.op) fail(Fault::internal, "{}: index {} is not in [0, {})", found.op, found.index, found.limit);
}
}  // namespace

int gpu_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}
void use_gpu(int index) {
  if (gpu_count() == 0)
    fail(Fault::usage,
         "--device cuda: expected a CUDA device, found none (no GPU or no driver); use --device cpu");
  if (index >= gpu_count())
    fail(Fault::usage, "--device: expected one of {} CUDA devices, found cuda:{}; see nvidia-smi",
         gpu_count(), index);
  check(cudaSetDevice(index), "choosing a device");
}
// A stream of its own, because the legacy default stream cannot be captured into a graph.
Stream gpu_stream() {
  static const Stream stream = [] {
    Stream s;
    check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "making a stream");
    return s;
  }();
  return stream;
}

std::string gpu_name() {
  int device = 0;
  cudaDeviceProp properties;
  check(cudaGetDevice(&device), "asking for the device");
  check(cudaGetDeviceProperties(&properties, device), "asking for the device");
  return fmt::format("{}, sm_{}{}", properties.name, properties.major, properties.minor);
}
double gpu_seconds(const std::function<void()>& work) {
  struct Event {
    Event() { check(cudaEventCreate(&event), "making an event"); }
    ~Event() { cudaEventDestroy(event); }
    cudaEvent_t event = nullptr;
  } begin, end;
  check(cudaEventRecord(begin.event, gpu_stream()), "recording an event");
  work();
  check(cudaEventRecord(end.event, gpu_stream()), "recording an event");
  check(cudaEventSynchronize(end.event), "waiting for the device");
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin.event, end.event), "reading an event");
  return milliseconds * 1e-3;
}

void* gpu_allocate(size_t bytes) {
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // clears the error, so that the next launch does not report it
    return nullptr;
  }
  check(error, "allocating memory");
  return data;
}
void gpu_free(void* data) { check(cudaFree(data), "freeing memory"); }

void gpu_fill_bytes(void* data, int byte, size_t bytes) {
  check(cudaMemsetAsync(data, byte, bytes, gpu_stream()), "filling memory");
}
void gpu_copy(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, gpu_stream()), "copying");
}
// Copies through two buffers of pinned memory in turn: the CPU fills one while the device reads the other.
void gpu_upload(void* to, const void* from, size_t bytes) {
  refuse_capture("an upload");
  struct Staging {
    void* data = nullptr;
    cudaEvent_t read = nullptr;  // the device has read the buffer, and it may be filled again
  };
  constexpr size_t kBytes = size_t{16} << 20;
  static Staging staging[2];
  static int turn = 0;
  for (size_t at = 0; at < bytes; at += kBytes) {
    Staging& s = staging[turn ^= 1];
    if (!s.data) {
      check(cudaMallocHost(&s.data, kBytes), "allocating pinned memory");
      check(cudaEventCreateWithFlags(&s.read, cudaEventDisableTiming), "making an event");
    } else {
      check(cudaEventSynchronize(s.read), "waiting for an upload");
    }
    const size_t part = std::min(kBytes, bytes - at);
    std::memcpy(s.data, static_cast<const char*>(from) + at, part);
    check(cudaMemcpyAsync(static_cast<char*>(to) + at, s.data, part, cudaMemcpyHostToDevice, gpu_stream()),
          "uploading");
    check(cudaEventRecord(s.read, gpu_stream()), "recording an event");
  }
}
void gpu_download(void* to, const void* from, size_t bytes) {
  refuse_capture("a download");
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, gpu_stream()), "downloading");
  check(cudaStreamSynchronize(gpu_stream()), "waiting for the device");
  fail_on_wrong_index();
}
WrongIndex* wrong_index() {
  static WrongIndex* const report = [] {
    void* data = nullptr;
    check(cudaMallocHost(&data, sizeof(WrongIndex)), "allocating pinned memory");
    return new (data) WrongIndex{};
  }();
  return report;
}

struct GpuGraph {
  cudaGraphExec_t executable = nullptr;
};
// The capture mode is relaxed, because the memory pool may call cudaMalloc within the capture.
void gpu_begin_capture() {
  wrong_index();  // allocates the report, which is not possible within a capture
  check(cudaStreamBeginCapture(gpu_stream(), cudaStreamCaptureModeRelaxed), "beginning a capture");
  capturing = true;
}
GpuGraph* gpu_end_capture() {
  capturing = false;
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(gpu_stream(), &graph), "ending a capture");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check(error, "making a graph");
  return new GpuGraph{executable};
}
void gpu_drop_capture() {
  capturing = false;
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(gpu_stream(), &graph);
  if (graph) cudaGraphDestroy(graph);
  cudaGetLastError();  // clears the error, so that the next launch does not report it
}
void gpu_launch(GpuGraph* graph) {
  check(cudaGraphLaunch(graph->executable, gpu_stream()), "launching a graph");
}
void gpu_free(GpuGraph* graph) {
  check(cudaStreamSynchronize(gpu_stream()), "waiting for the device");
  cudaGraphExecDestroy(graph->executable);
  delete graph;
}

}  // namespace dae
