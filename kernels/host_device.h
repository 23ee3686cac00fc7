// HOST_DEVICE marks a function that kernels and the host share.
#pragma once
#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__ inline
#else
#define HOST_DEVICE inline
#endif
