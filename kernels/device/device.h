// Tags that say where a kernel runs. The first argument of every kernel function is one of them: each
// function has one name and two overloads, and a program with a missing overload does not link. Cpu kernels
// take float and double; Cuda kernels take float, bf16 and f16.
//
// In a .cu file this header also includes kernels/device/kernel.cuh: launch(), shared memory, reductions,
// instructions.
#pragma once
#include <cstdint>

#include "kernels/device/types.h"

struct CUstream_st;

namespace dae {

using Stream = CUstream_st*;  // the same type as cudaStream_t

struct Cpu {};
struct Cuda {
  Stream stream = nullptr;
};

// How the Cuda half of this program is built: `real` if nvcc compiles the .cu files, `emulated` if
// kernels/emulate/ runs the same files on the CPU, `absent` if there is no Cuda half.
enum class CudaBuild { absent, real, emulated };
#ifndef DAE_CUDA
#define DAE_CUDA absent
#endif
constexpr CudaBuild kCuda = CudaBuild::DAE_CUDA;  // not inline: the libraries of one program may differ

}  // namespace dae

#if defined(__CUDACC__) || defined(DAE_EMULATE)
#include "kernels/device/kernel.cuh"
#endif
