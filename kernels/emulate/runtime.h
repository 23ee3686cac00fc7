// The part of the CUDA Runtime API that this project uses, on the emulated device: two GPUs, memory, streams,
// events and graphs. The functions behave as in the CUDA Runtime API, except for errors: a call whose result
// CUDA leaves undefined throws Fault::internal, and the only error that functions return is
// cudaErrorMemoryAllocation.
//
// The work of a stream runs when it is queued. With DAE_STREAM=late or set_late(true) it runs when the host
// waits for it, which shows a missing wait. Part of kernels/emulate/emulate.h.
#pragma once
#include <functional>
#include <vector>

#include "kernels/emulate/memory.h"

namespace dae {

using cudaError_t = int;
using cudaStream_t = Stream;
using cudaEvent_t = struct CUevent_st*;
using cudaGraph_t = struct CUgraph_st*;
using cudaGraphExec_t = struct CUgraphExec_st*;
inline constexpr cudaError_t cudaSuccess = 0, cudaErrorMemoryAllocation = 2;
inline constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum cudaStreamCaptureMode { cudaStreamCaptureModeRelaxed = 2 };
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
struct cudaDeviceProp {
  char name[256];
  int major, minor;
};

inline const char* cudaGetErrorString(cudaError_t error) { return error ? "out of memory" : "no error"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(Fault::internal, "cuda: {}: {}", what, cudaGetErrorString(error));
}

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int device);
// Sets the dynamic shared memory that launches of the kernel may use on the device in use (rules.cpp).
cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute which, int value);

cudaError_t cudaMalloc(void** data, size_t bytes);
cudaError_t cudaFree(void* data);  // waits for the work of all streams
cudaError_t cudaMallocHost(void** data, size_t bytes);
cudaError_t cudaMemsetAsync(void* data, int byte, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
inline cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

namespace emulate {

// Returns the device of the stream. Throws Fault::internal unless it is the device in use.
int device_of(Stream stream, const char* what);

// Queues work that accesses the allocations of these addresses, or adds it to the graph if the stream
// captures.
void enqueue(Stream stream, const char* what, std::vector<const void*> addresses, std::function<void()> work);

// Calls find_addresses and refuse_host_addresses for an argument. The padding between members may look like a
// host address, so the search for host addresses uses a copy with cleared padding. The search for device
// addresses uses the argument itself, because in an array of structs GCC 12 clears some members as well.
template <class T>
void find_addresses_in(const char* kernel, const T& argument, int device, std::vector<const void*>& found) {
  if (alignof(T) < alignof(void*)) return;
  T members = argument;
  __builtin_clear_padding(&members);
  find_addresses(kernel, &argument, sizeof(T), device, found);
  refuse_host_addresses(kernel, &members, sizeof(T));
}

}  // namespace emulate

// Launches a kernel; kernels/device/intrinsics.cuh describes the arguments.
template <class... P, class... A>
void launch(Cuda where, const char* name, void (*kernel)(P...), Grid grid, dim3 block, size_t shared_bytes,
            A&&... args) {
  if (grid.empty()) return;
  const int device = emulate::device_of(where.stream, name);
  const emulate::Launch what{name, reinterpret_cast<const void*>(kernel),
                             emulate::argument_bytes<std::decay_t<P>...>(), device};
  allow_shared_memory(where, name, what.kernel, shared_bytes);
  std::vector<const void*> addresses;
  (emulate::find_addresses_in<std::decay_t<P>>(name, static_cast<P>(args), device, addresses), ...);
  // A pack capture, not a std::tuple: std::tuple tests whether a closure is assignable, and for GCC 12 the
  // closure is then not trivially copyable.
  emulate::enqueue(where.stream, name, std::move(addresses), [=, ... values = static_cast<P>(args)] {
    emulate::run(what, dim3(grid.x, grid.y, grid.z), grid.cluster, block, shared_bytes,
                 [&] { kernel(values...); });
  });
}

}  // namespace dae
