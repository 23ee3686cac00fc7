// The host functions of kernel.cuh, by the CUDA Runtime API or the emulated device's version of it.
#ifdef __CUDACC__
#include <cuda.h>
#endif

#include <algorithm>
#include <map>
#include <mutex>

#include "kernels/device/device.h"

namespace dae {

namespace {

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}
int attribute(cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, current_device()), "cudaDeviceGetAttribute");
  return value;
}

}  // namespace

int compute_capability(Cuda) {
  return 10 * attribute(cudaDevAttrComputeCapabilityMajor) + attribute(cudaDevAttrComputeCapabilityMinor);
}
int multiprocessors(Cuda) { return attribute(cudaDevAttrMultiProcessorCount); }
int64_t shared_memory_limit(Cuda) { return attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin); }

void allow_shared_memory(Cuda where, const char* name, const void* kernel, size_t bytes) {
  if (bytes < 32 << 10) return;  // fits in 48 KB, because no kernel has 16 KB of static arrays
  if (const int64_t most = shared_memory_limit(where); int64_t(bytes) > most)
    fail(Fault::internal, "kernel {}: {} bytes of shared memory; a block has {}", name, bytes, most);
  static std::mutex mutex;
  static std::map<std::pair<int, const void*>, size_t> given;  // the allowance, by device and kernel
  std::lock_guard lock(mutex);
  size_t& now = given[{current_device(), kernel}];
  if (bytes <= now) return;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)), name);
  now = bytes;
}

void* workspace(Cuda where, size_t bytes) {
  struct Memory {
    void* data = nullptr;
    size_t bytes = 0;
  };
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  static std::map<Stream, Memory> of_stream;
  Memory& m = of_stream[where.stream];
#ifdef DAE_EMULATE
  // To find misuse, the memory has the exact size, is filled with NaN, and each call overwrites the memory of
  // the previous call.
  static std::map<std::pair<Stream, size_t>, void*> of_size;
  const auto spoil = [&] { check(cudaMemsetAsync(m.data, 0xFF, m.bytes, where.stream), "workspace"); };
  if (m.data) spoil();
  void*& data = of_size[{where.stream, bytes}];
  if (!data) check(cudaMalloc(&data, bytes), "workspace");
  m = {data, bytes};
  spoil();
#else
  if (bytes > m.bytes) {
    const size_t size = std::max(bytes, 2 * m.bytes);
    check(cudaMalloc(&m.data, size), "workspace");
    m.bytes = size;
  }
#endif
  return m.data;
}

#ifdef __CUDACC__
namespace {

// Returns cuTensorMapEncodeTiled (CUDA Driver API). The driver is loaded at the first call, so that the
// program starts on a machine without a driver.
using Encode = decltype(&cuTensorMapEncodeTiled);
Encode encoder() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found{};
#if CUDART_VERSION >= 12050
  check(
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found),
      "cuTensorMapEncodeTiled");
#else
  check(cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &function, cudaEnableDefault, &found),
        "cuTensorMapEncodeTiled");
#endif
  if (!function)
    fail(Fault::internal, "cuda: the driver has no cuTensorMapEncodeTiled; expected 12.0 or later");
  return reinterpret_cast<Encode>(function);
}

}  // namespace

TensorMap tensor_map(const void* data, int element_bytes, bool bfloat, const TensorBox& b, Swizzle swizzle) {
  static const Encode encode = encoder();
  cuuint64_t size[5], stride[4];
  cuuint32_t box[5], step[5];
  for (int i = 0; i < b.rank; ++i) {  // CUDA's order is innermost first; its box includes skipped elements
    const int from = b.rank - 1 - i;
    size[i] = cuuint64_t(b.shape[from]);
    step[i] = cuuint32_t(b.step[from]);
    box[i] = cuuint32_t((b.box[from] - 1) * b.step[from] + 1);
    if (i > 0) stride[i - 1] = cuuint64_t(b.stride[from] * element_bytes);
  }
  const auto type = element_bytes == 4 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32
                    : bfloat           ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                       : CU_TENSOR_MAP_DATA_TYPE_FLOAT16;
  TensorMap map;
  const CUresult result = encode(&map, type, cuuint32_t(b.rank), const_cast<void*>(data), size, stride, box,
                                 step, CU_TENSOR_MAP_INTERLEAVE_NONE, CUtensorMapSwizzle(int(swizzle)),
                                 CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    fail(Fault::internal, "cuda: tensor map of rank {}, last dimension {} with a box of {}: error {}", b.rank,
         b.shape[b.rank - 1], b.box[b.rank - 1], int(result));
  return map;
}
#endif

}  // namespace dae
