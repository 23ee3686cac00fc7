// The GPU's memory, copies, and the one stream in which all work is queued, by CUDA's runtime or what the
// emulated device has in its place (kernels/emulate/runtime.h). Nothing of it is there in a build without
// CUDA, except that no device is found.
#pragma once
#include <cstddef>
#include <functional>
#include <string>

#include "kernels/device.h"

constexpr bool kHasCuda = kCuda != CudaBuild::absent;

int gpu_count();          // devices that can be used; 0 without a driver
void use_gpu(int index);  // before anything else here; Fault::usage if there is no such device
Stream gpu_stream();
std::string gpu_name();  // "NVIDIA H100 80GB HBM3, sm_90"
// Runs `work` and waits for what it queued: the device's seconds between its begin and its end.
double gpu_seconds(const std::function<void()>& work);

void* gpu_allocate(size_t bytes);  // aligned to 256 bytes; null: there is no more
void gpu_free(void* data);

// Where a kernel that meets an index outside [0, limit) reports it instead of reading there; the next
// download fails because of it. Host memory that the device can write.
struct WrongIndex {
  const char* op;  // on the host, so a kernel gets it as an argument; null: there was none
  int64_t index, limit;
};
WrongIndex* wrong_index();

// In the order of the stream. After an upload the source may be reused; a download waits for its bytes.
void gpu_fill_bytes(void* data, int byte, size_t bytes);
void gpu_copy(void* to, const void* from, size_t bytes);
void gpu_upload(void* to, const void* from, size_t bytes);
void gpu_download(void* to, const void* from, size_t bytes);

// Capture. From begin to end work is recorded, not run; the graph that comes of it is launched as a whole, as
// often as wanted, always with the addresses and values of the recording. One capture at a time. An upload or
// a download in it is Fault::usage: a replay would not see what the host has by then.
struct GpuGraph;
void gpu_begin_capture();
GpuGraph* gpu_end_capture();
void gpu_drop_capture();  // in place of end, after an error
bool gpu_capturing();
void gpu_launch(GpuGraph* graph);
void gpu_free(GpuGraph* graph);
