// Streams, events, graphs and memory of the emulated device (runtime.h). A stream is a queue of work; an
// event is a position in a queue.
#include <chrono>
#include <deque>
#include <memory>

#include "kernels/emulate/cluster.h"

namespace dae {

namespace {

constexpr int kDevices = 2;
constexpr size_t kQueued = 1024;  // a longer queue runs its oldest work; hardware queues are finite too

struct Work {
  const char* what;
  std::vector<const void*> addresses;
  std::function<void()> run;
};
void do_work(const Work& w) { emulate::with_memory(w.what, w.addresses, w.run); }

thread_local int in_use = 0;

}  // namespace

struct CUgraph_st {
  std::vector<Work> work;
};
struct CUgraphExec_st {
  std::shared_ptr<const std::vector<Work>> work;  // shared with queued launches of the graph
};
}  // namespace dae

// The type that device.h declares, as CUDA does.
struct CUstream_st {
  int device;
  std::deque<dae::Work> queued;
  std::unique_ptr<dae::CUgraph_st> captured;

  void run_first() {
    const dae::Work w = std::move(queued.front());
    queued.pop_front();
    try {
      do_work(w);
    } catch (...) {
      queued.clear();
      throw;
    }
  }
};

namespace dae {

struct CUevent_st {
  struct State {
    int recorded = 0, reached = 0;  // the number of records, and the number of the last one reached
    std::chrono::steady_clock::time_point time;
  };
  std::shared_ptr<State> state = std::make_shared<State>();
  Stream stream = nullptr;
};

namespace {

std::vector<std::unique_ptr<CUstream_st>> streams;

// Runs all queued work of the stream.
void drain(Stream stream, const char* what) {
  if (stream->captured) fail(Fault::internal, "{}: in a capture, which it would break", what);
  while (!stream->queued.empty()) stream->run_first();
}

}  // namespace

namespace emulate {

int device_of(Stream stream, const char* what) {
  if (!stream)
    fail(Fault::internal, "{}: on the default stream, for which nobody waits; expected gpu_stream()", what);
  if (stream->device != in_use)
    fail(Fault::internal, "{}: on a stream of device {} while device {} is in use", what, stream->device,
         in_use);
  return in_use;
}

void enqueue(Stream stream, const char* what, std::vector<const void*> addresses,
             std::function<void()> work) {
  device_of(stream, what);
  Work w{what, std::move(addresses), std::move(work)};
  if (stream->captured) {
    stream->captured->work.push_back(std::move(w));
    return;
  }
  stream->queued.push_back(std::move(w));
  while (stream->queued.size() > (settings().late ? kQueued : 0)) stream->run_first();
}

}  // namespace emulate

cudaError_t cudaGetDeviceCount(int* count) { return *count = kDevices, cudaSuccess; }
cudaError_t cudaSetDevice(int device) { return in_use = device, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = in_use, cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  *fmt::format_to(properties->name, "emulated device {}", device) = '\0';
  properties->major = emulate::settings().capability / 10;
  properties->minor = emulate::settings().capability % 10;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
  const emulate::Settings& set = emulate::settings();
  *value = which == cudaDevAttrComputeCapabilityMajor   ? set.capability / 10
           : which == cudaDevAttrComputeCapabilityMinor ? set.capability % 10
           : which == cudaDevAttrMultiProcessorCount    ? set.multiprocessors
                                                        : int(emulate::shared_limit(set.capability));
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  *data = emulate::allocate_memory(in_use, bytes);
  return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void* data) {
  for (const auto& stream : streams) drain(stream.get(), "cudaFree");
  if (data) emulate::release_memory(data);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** data, size_t bytes) {
  *data = emulate::allocate_pinned(bytes);
  return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaMemsetAsync(void* data, int byte, size_t bytes, cudaStream_t stream) {
  emulate::require_memory("a memset", data, bytes, emulate::device_of(stream, "a memset"));
  emulate::enqueue(stream, "a memset", {data}, [=] {
    if (bytes) std::memset(data, byte, bytes);  // of nothing the address may be null
  });
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const int device = emulate::device_of(stream, "a copy");
  if (kind == cudaMemcpyDeviceToHost) emulate::require_host("a copy to the host", to);
  else emulate::require_memory("a copy to the device", to, bytes, device);
  if (kind == cudaMemcpyHostToDevice) emulate::require_host("a copy from the host", from);
  else emulate::require_memory("a copy from the device", from, bytes, device);
  emulate::enqueue(stream, "a copy", {to, from}, [=] {
    if (bytes) std::memcpy(to, from, bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  streams.push_back(std::make_unique<CUstream_st>(CUstream_st{in_use, {}, {}}));
  *stream = streams.back().get();
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  emulate::device_of(stream, "a wait");
  drain(stream, "a wait");
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) { return delete event, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  event->stream = stream;
  const int number = ++event->state->recorded;
  emulate::enqueue(stream, "an event", {}, [state = event->state, number] {
    state->reached = number, state->time = std::chrono::steady_clock::now();
  });
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  while (event->state->reached < event->state->recorded) {
    if (event->stream->captured)
      fail(Fault::internal, "a wait for an event: in a capture, which it would break");
    if (event->stream->queued.empty()) break;  // an error has emptied the queue
    event->stream->run_first();
  }
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  for (const cudaEvent_t e : {begin, end})
    if (!e->state->recorded || e->state->reached < e->state->recorded)
      fail(Fault::internal, "the time between events: expected both to be waited for");
  *milliseconds = std::chrono::duration<float, std::milli>(end->state->time - begin->state->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  emulate::device_of(stream, "a capture");
  if (stream->captured) fail(Fault::internal, "a capture: within another");
  stream->captured = std::make_unique<CUgraph_st>();
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = stream->captured.release();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned) {
  *executable = new CUgraphExec_st{std::make_shared<const std::vector<Work>>(graph->work)};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  emulate::enqueue(stream, "a graph", {}, [all = executable->work] {
    for (const Work& w : *all) do_work(w);
  });
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) { return delete executable, cudaSuccess; }

}  // namespace dae
