// Where a kernel runs. The first argument of every kernel is one of these tags: one name, two overloads, and
// a missing half does not link. Cpu kernels take float and double, Cuda kernels float, bf16 and f16.
//
// A .cu file gets kernels/kernel.h with it: launch(), shared memory, reductions, instructions.
#pragma once
#include <cstdint>

#include "kernels/half.h"

struct CUstream_st;
using Stream = CUstream_st*;  // CUDA's cudaStream_t

struct Cpu {};
struct Cuda {
  Stream stream = nullptr;
};

// What the Cuda half of this program is: the same sources compiled by nvcc, run by kernels/emulate/ on the
// processor, or nothing.
enum class CudaBuild { absent, real, emulated };
#ifndef DAE_CUDA
#define DAE_CUDA absent
#endif
constexpr CudaBuild kCuda = CudaBuild::DAE_CUDA;  // not inline: libraries of one program may differ

#if defined(__CUDACC__) || defined(DAE_EMULATE)
#include "kernels/kernel.h"
#endif
