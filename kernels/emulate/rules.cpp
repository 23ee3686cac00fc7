// The limits of a launch on the emulated device, which are those of the hardware by compute capability.
#include <map>
#include <mutex>

#include "kernels/emulate/cluster.h"

namespace dae {

namespace emulate {

namespace {

constexpr int64_t kUnasked = 48 << 10;     // shared memory of a block without cudaFuncSetAttribute
constexpr size_t kMaxArguments = 4 << 10;  // bytes; more need CUDA 12.1 and its driver

std::mutex mutex;
// The dynamic shared memory that cudaFuncSetAttribute has allowed, by device and kernel.
std::map<std::pair<int, const void*>, int64_t> asked_for;

// Returns the largest number of threads of a block of this kernel: its __launch_bounds__, rounded up to whole
// warps. It counts the no-operation instructions (0x90) at the kernel's start (language.h).
int64_t launch_bounds(const void* kernel) {
#ifdef __x86_64__
  const auto* code = static_cast<const unsigned char*>(kernel);
  constexpr unsigned char kEndbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
  if (std::memcmp(code, kEndbr64, sizeof(kEndbr64)) == 0) code += sizeof(kEndbr64);
  int64_t warps = 0;
  while (warps < 32 && code[warps] == 0x90) ++warps;
  return warps ? 32 * warps : 1024;
#else
  (void)kernel;
  return 1024;
#endif
}

}  // namespace

// CUDA C++ Programming Guide, Compute Capabilities: "Maximum amount of shared memory per thread block".
int64_t shared_limit(int capability) {
  switch (capability) {
    case 80:
    case 87:
      return 163 << 10;
    case 90:
    case 100:
    case 103:
      return 227 << 10;
    default:  // 86, 89, 120
      return 99 << 10;
  }
}

int64_t shared_total(int64_t static_bytes, int64_t dynamic_bytes) {
  return dynamic_bytes ? (static_bytes + 1023) / 1024 * 1024 + dynamic_bytes : static_bytes;
}

void refuse_shared(const char* kernel, int64_t bytes, int64_t most) {
  fail(Fault::internal, "kernel {}: {} bytes of shared memory; a block has {}{}", kernel, bytes, most,
       most == kUnasked ? " unless its kernel asks" : "");
}

int64_t check_launch(const Launch& launch, const dim3& grid, unsigned cluster, const dim3& block,
                     int64_t shared_bytes) {
  const char* name = launch.name;
  const int64_t threads = int64_t(block.x) * block.y * block.z;
  if (threads < 1 || threads > 1024)
    fail(Fault::internal, "kernel {}: {} threads a block; expected 1 to 1024", name, threads);
  if (block.z > 64) fail(Fault::internal, "kernel {}: a block {} deep; at most 64", name, block.z);
  if (const int64_t bounds = launch_bounds(launch.kernel); threads > bounds)
    fail(Fault::internal, "kernel {}: {} threads a block; its launch bounds are {}", name, threads, bounds);
  if (cluster < 1 || cluster > 8 || grid.x % cluster)
    fail(Fault::internal, "kernel {}: clusters of {} in a grid of {} blocks along x", name, cluster, grid.x);
  if (cluster > 1 && settings().capability < 90)
    fail(Fault::internal, "kernel {}: clusters of {} on compute capability {}; expected 90 or later", name,
         cluster, settings().capability);
  if (launch.argument_bytes > kMaxArguments)
    fail(Fault::internal, "kernel {}: {} bytes of arguments; at most {}", name, launch.argument_bytes,
         kMaxArguments);
  std::lock_guard lock(mutex);
  const auto asked = asked_for.find({launch.device, launch.kernel});
  if (asked != asked_for.end() && shared_bytes > asked->second)
    fail(Fault::internal, "kernel {}: {} bytes of dynamic shared memory, and the kernel asked for {}", name,
         shared_bytes, asked->second);
  const int64_t most = asked != asked_for.end() ? shared_limit(settings().capability) : kUnasked;
  if (shared_bytes > most) refuse_shared(name, shared_bytes, most);
  return most;
}

}  // namespace emulate

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute, int value) {
  int device = 0;
  cudaGetDevice(&device);
  std::lock_guard lock(emulate::mutex);
  emulate::asked_for[{device, kernel}] = value;
  return cudaSuccess;
}

}  // namespace dae
