// Memory of the emulated device: an arena of addresses that nothing else has. All of it is protected; a
// kernel or a copy can touch the allocations that it was given, while it runs, and nobody anything else. What
// touches it all the same stops: a kernel with an error, the host's code with a line and exit code 1.
#pragma once
#include <cstddef>
#include <functional>
#include <vector>

namespace emulate {

// Filled with NaN, aligned to 256 bytes; as near as that allows behind its end there is a page that nobody
// can touch. Null: there is no more.
void* allocate_memory(int device, size_t bytes);
// An address is never given out again.
void release_memory(void* data);
// Memory of the host that kernels can use, too.
void* allocate_pinned(size_t bytes);

// Stops unless the bytes lie within one allocation of the device.
void require_memory(const char* what, const void* data, size_t bytes, int device);
// Stops if the bytes are not the host's.
void require_host(const char* what, const void* data);

// The addresses of device memory among the words of an argument. Stops at one of another device.
void find_addresses(const char* kernel, const void* argument, size_t bytes, int device,
                    std::vector<const void*>& found);
// Stops if a word of an argument is an address of writable memory of the host, which a kernel could not reach.
void refuse_host_addresses(const char* kernel, const void* argument, size_t bytes);

// Runs work, which may touch the allocations in which these addresses lie, and stops if it wrote beside one.
void with_memory(const char* what, const std::vector<const void*>& addresses,
                 const std::function<void()>& work);

}  // namespace emulate
