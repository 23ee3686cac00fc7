// The GPU's memory, copies, graph capture, and the one stream of each process in which all work is queued.
// The implementation calls the CUDA Runtime API, or the emulated device's version of it
// (kernels/emulate/runtime.h). Functions throw Fault::internal if a CUDA call fails. A build without CUDA
// finds no device.
#pragma once
#include <cstddef>
#include <functional>
#include <string>

#include "kernels/device/device.h"

namespace dae {

constexpr bool kHasCuda = kCuda != CudaBuild::absent;

// Returns the number of devices that can be used; 0 without a driver.
int gpu_count();
// Selects the device for all other functions of this header; call it before them. Throws Fault::usage if
// there is no such device.
void use_gpu(int index);
Stream gpu_stream();
// Returns the name and the architecture of the device in use, as in "NVIDIA H100 80GB HBM3, sm_90".
std::string gpu_name();
// Runs `work`, waits for the kernels and copies that it queued, and returns the seconds that they took on the
// device.
double gpu_seconds(const std::function<void()>& work);

// Returns device memory, aligned to 256 bytes, or null if the device has too little left.
void* gpu_allocate(size_t bytes);
void gpu_free(void* data);

// The report of a kernel that met an index outside [0, limit). The kernel writes it instead of reading out of
// bounds, and the next download throws Fault::internal.
struct WrongIndex {
  const char* op;  // the op's name, in host memory; null if there was no wrong index
  int64_t index, limit;
};
// Returns the one report of the process. It lies in pinned host memory, which the device can write.
WrongIndex* wrong_index();

// Fill and copy device memory, in the order of the stream. After gpu_upload returns, the caller may reuse the
// source. gpu_download returns when the bytes have arrived.
void gpu_fill_bytes(void* data, int byte, size_t bytes);
void gpu_copy(void* to, const void* from, size_t bytes);
void gpu_upload(void* to, const void* from, size_t bytes);
void gpu_download(void* to, const void* from, size_t bytes);

// Capture of CUDA graphs. Between gpu_begin_capture and gpu_end_capture work is recorded, not run. gpu_launch
// runs the whole graph, any number of times, always with the recorded addresses and values. There is one
// capture at a time. An upload or a download within a capture throws Fault::usage, because a replay would not
// see the host's new data.
struct GpuGraph;
void gpu_begin_capture();
GpuGraph* gpu_end_capture();
void gpu_drop_capture();  // ends the capture without a graph, after an error
void gpu_launch(GpuGraph* graph);
void gpu_free(GpuGraph* graph);

}  // namespace dae
