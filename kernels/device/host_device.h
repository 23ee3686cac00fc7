// HOST_DEVICE marks a function that both kernels and host code call.
#pragma once
#include <cstdint>

namespace dae {

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__ inline
#else
#define HOST_DEVICE inline
#endif

// Returns a / b, rounded up, for a >= 0 and b > 0.
HOST_DEVICE constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace dae
