// The tools that every .cu file uses; it includes this header through device.h:
//   - launch(), shared memory and PTX instructions: intrinsics.cuh, or emulate/ for the emulated device;
//   - the properties of the device, and a workspace;
//   - tensor maps for TMA;
//   - 16-byte loads and stores, and reductions in a fixed order.
#pragma once
#include <cstdint>
#include <type_traits>

#include "kernels/device/error.h"
#include "kernels/device/types.h"

namespace dae {

// The number of blocks of a launch along x, y and z. `cluster` is the number of neighbouring blocks along x
// that form a cluster (sm_90); 1 means no clusters. Throws Fault::internal beyond CUDA's limits.
struct Grid {
  unsigned x, y, z, cluster = 1;
  Grid(int64_t x, int64_t y = 1, int64_t z = 1) : x(unsigned(x)), y(unsigned(y)), z(unsigned(z)) {
    if (x < 0 || x > 0x7fffffff || y < 0 || y > 65535 || z < 0 || z > 65535)
      fail(Fault::internal, "cuda: a grid of {} x {} x {} blocks; at most 2147483647 x 65535 x 65535", x, y,
           z);
  }
  Grid in_clusters(unsigned blocks) const {
    Grid grid = *this;
    grid.cluster = blocks;
    return grid;
  }
  bool empty() const { return x == 0 || y == 0 || z == 0; }
};

// Holds 16 bytes of elements, the most that a thread loads or stores with one instruction.
template <class T>
struct alignas(16) Pack {
  static constexpr int size = 16 / sizeof(T);
  T v[size];
};

// Allows `kernel` to run with `bytes` bytes of dynamic shared memory; launch() calls it before each launch.
// Without it a block has at most 48 KB, static arrays included. The allowance never shrinks, because a
// captured step may launch the kernel again with the larger size. Throws Fault::internal if `bytes` exceeds
// shared_memory_limit(). CUDA Runtime API, cudaFuncSetAttribute.
void allow_shared_memory(Cuda where, const char* name, const void* kernel, size_t bytes);

}  // namespace dae

#ifdef DAE_EMULATE
#include "kernels/emulate/emulate.h"
#else
#include "kernels/device/intrinsics.cuh"
#endif

namespace dae {

// ---- the device of a stream, called on the host ----------------------------------------------------------

// Returns the compute capability as a number: 80, 90, ... Kernels with sm_90a instructions run on 90 only.
int compute_capability(Cuda where);
// Returns the number of multiprocessors, to size a persistent grid. No result may depend on it.
int multiprocessors(Cuda where);
// Returns the largest number of bytes of shared memory of a block: 163 KB on sm_80, 99 KB on sm_86 and sm_89,
// 227 KB on sm_90. It includes the kernel's static arrays (SHARED) and the padding that aligns the dynamic
// part to 1024 bytes.
int64_t shared_memory_limit(Cuda where);

// Returns device memory for the kernels that the caller launches, with undefined contents. The next call for
// the same stream may return the same bytes. The memory is never freed, so that captured graphs stay valid.
void* workspace(Cuda where, size_t bytes);

// ---- tensor maps: descriptions of tensors for TMA, made on the host --------------------------------------

// How TMA permutes the 16-byte chunks of the shared memory of a box, and over how many bytes of a row.
enum class Swizzle { none, bytes32, bytes64, bytes128 };

// Describes a tensor and the box that one TMA copy transfers. Every array lists the outermost dimension
// first.
//   shape, box   in elements; the box counts the elements that are copied
//   stride       in elements; the last one is 1
//   step         a copy takes every step-th element along a dimension
struct TensorBox {
  int rank = 0;
  int64_t shape[5] = {}, stride[5] = {};
  int box[5] = {}, step[5] = {};
};
// Returns the tensor map of the tensor at `data`, with elements of 4 bytes (f32) or 2 bytes (bf16 where
// `bfloat` is true, else f16). Throws Fault::internal if TMA does not support the description. CUDA Driver
// API, cuTensorMapEncodeTiled.
TensorMap tensor_map(const void* data, int element_bytes, bool bfloat, const TensorBox& b, Swizzle swizzle);

// Returns the tensor map of a contiguous tensor of `Rank` dimensions (2 to 5). `data` lies on a 16-byte
// boundary, and the last dimension is a multiple of 16 bytes. With a swizzle, the last dimension of the box
// has at most as many bytes as the swizzle.
template <class T, int Rank>
TensorMap tensor_map(const T* data, const int64_t (&shape)[Rank], const int (&box)[Rank],
                     Swizzle swizzle = Swizzle::bytes128) {
  TensorBox b;
  b.rank = Rank;
  for (int64_t i = Rank - 1, stride = 1; i >= 0; stride *= shape[i--])
    b.shape[i] = shape[i], b.stride[i] = stride, b.box[i] = box[i], b.step[i] = 1;
  return tensor_map(data, int(sizeof(T)), std::is_same_v<T, bf16>, b, swizzle);
}

// ---- functions for kernels -------------------------------------------------------------------------------

// Loads or stores 16 bytes at p, which lies on a 16-byte boundary.
template <class T>
__device__ inline Pack<T> load16(const T* p) {
  return *reinterpret_cast<const Pack<T>*>(p);
}
template <class T>
__device__ inline void store16(T* p, const Pack<T>& value) {
  *reinterpret_cast<Pack<T>*>(p) = value;
}

__device__ inline int lane_of_warp() { return int(threadIdx.x % 32); }
__device__ inline int warp_of_block() { return int(threadIdx.x / 32); }

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Maximum {  // returns NaN if an argument is NaN, as PyTorch does
  __device__ float operator()(float a, float b) const { return a > b || a != a ? a : b; }
};

// Returns the reduction of v by op over the 32 lanes of a warp, with the same bits in each lane. All 32 lanes
// call it.
template <class T, class Op>
__device__ inline T warp_reduce(T v, Op op WITH_LINE) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    v = op(v, __shfl_xor_sync(0xffffffffu, v, distance PASS_LINE));
  return v;
}

// Returns the reduction of v by op over the block, with the same bits in each thread. It reduces each warp,
// then combines the results of the warps in order. The block extends along x only and consists of whole
// warps. All threads call it.
template <class T, class Op>
__device__ inline T block_reduce(T v, Op op WITH_LINE) {
  SHARED(T, of_warp, 32);
  v = warp_reduce(v, op PASS_LINE);
  const int warps = int(blockDim.x / 32);
  if (warps == 1) return v;
  __syncthreads(LINE);  // threads may still read the results of the previous reduction
  if (lane_of_warp() == 0) of_warp[warp_of_block()] = v;
  __syncthreads(LINE);
  v = of_warp[0];
  for (int w = 1; w < warps; ++w) v = op(v, of_warp[w]);
  return v;
}

}  // namespace dae
