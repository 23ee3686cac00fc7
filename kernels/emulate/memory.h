// Global memory of the emulated device. It lies in a reserved range of addresses, the arena, whose pages are
// protected. While a kernel or a copy runs, the allocations that it was given are accessible to it, and no
// others. Any other access stops: a kernel with an error, host code with a message and exit code 1.
#pragma once
#include <cstddef>
#include <functional>
#include <vector>

namespace dae {

namespace emulate {

// Returns device memory filled with NaN, aligned to 256 bytes, or null if there is no more. A page that is
// never accessible follows its end as closely as the alignment allows.
void* allocate_memory(int device, size_t bytes);
// Releases an allocation. Its addresses are never used again.
void release_memory(void* data);
// Returns memory of the host that kernels can also access.
void* allocate_pinned(size_t bytes);

// Throws Fault::internal unless the bytes lie within one allocation of the device.
void require_memory(const char* what, const void* data, size_t bytes, int device);
// Throws Fault::internal if `data` is not memory of the host.
void require_host(const char* what, const void* data);

// Appends to `found` the addresses of device memory among the words of an argument. Throws Fault::internal if
// one belongs to another device.
void find_addresses(const char* kernel, const void* argument, size_t bytes, int device,
                    std::vector<const void*>& found);
// Throws Fault::internal if a word of an argument is an address of writable host memory, which a kernel on a
// GPU cannot access.
void refuse_host_addresses(const char* kernel, const void* argument, size_t bytes);

// Runs `work` with access to the allocations that contain these addresses. Throws Fault::internal if it wrote
// outside an allocation but on its pages.
void with_memory(const char* what, const std::vector<const void*>& addresses,
                 const std::function<void()>& work);

}  // namespace emulate

}  // namespace dae
