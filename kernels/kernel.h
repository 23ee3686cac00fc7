// What every .cu file has, through device.h: launch(), shared memory and instructions (ptx.h, or emulate/ on
// the processor), and below it 16-byte loads, reductions in a fixed order, tensor maps.
#pragma once
#include <cstdint>
#include <type_traits>

#include "kernels/error.h"
#include "kernels/half.h"

// The blocks of a launch, and how many of them, along x, form a cluster (sm_90).
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

// 16 bytes of elements: what a thread loads or stores at once.
template <class T>
struct alignas(16) Pack {
  static constexpr int size = 16 / sizeof(T);
  T v[size];
};

// For launch(), before a kernel runs with so many bytes of dynamic shared memory: a block gets 48 KB, the
// kernel's own arrays among them, unless the kernel has asked for more. It never takes back what it gave,
// since a captured step may launch the kernel again with as much. Fault::internal beyond
// shared_memory_limit().
void allow_shared_memory(Cuda where, const char* name, const void* kernel, size_t bytes);

#ifdef DAE_EMULATE
#include "kernels/emulate/emulate.h"
#else
#include "kernels/ptx.h"
#endif

// ---- the device of a stream, host side
// ----------------------------------------------------------------------

int compute_capability(Cuda where);  // 80, 90, ...; kernels with sm_90a instructions run on 90 only
int multiprocessors(Cuda where);     // to size a persistent grid; no result may depend on it
// Bytes of shared memory that a block can have, its kernel's own arrays (SHARED) and what aligns the dynamic
// part to 1024 bytes among them: 163 KB on sm_80, 99 KB on sm_86 and sm_89, 227 KB on sm_90.
int64_t shared_memory_limit(Cuda where);

// Device memory for the kernels that a function launches, undefined at the start; the next call may hand out
// the same bytes. Grows and is never given back, so that captured graphs stay valid.
void* workspace(Cuda where, size_t bytes);

// ---- tensor maps: what TMA has to know of a tensor, made on the host
// -----------------------------------------

enum class Swizzle { none, bytes32, bytes64, bytes128 };

// Everything outermost first, as in a shape. Strides in elements, the last one 1; `step` reads every step-th
// element along a dimension. The box is what one copy brings.
struct TensorBox {
  int rank = 0;
  int64_t shape[5] = {}, stride[5] = {};
  int box[5] = {}, step[5] = {};
};
TensorMap tensor_map(const void* data, int element_bytes, bool bfloat, const TensorBox& b, Swizzle swizzle);

// Of a contiguous tensor of `Rank` dimensions (2 to 5) on a 16-byte boundary, the last a multiple of 16
// bytes; with a swizzle the box's last dimension is at most as many bytes as the swizzle has.
template <class T, int Rank>
TensorMap tensor_map(const T* data, const int64_t (&shape)[Rank], const int (&box)[Rank],
                     Swizzle swizzle = Swizzle::bytes128) {
  TensorBox b;
  b.rank = Rank;
  for (int64_t i = Rank - 1, stride = 1; i >= 0; stride *= shape[i--])
    b.shape[i] = shape[i], b.stride[i] = stride, b.box[i] = box[i], b.step[i] = 1;
  return tensor_map(data, int(sizeof(T)), std::is_same_v<T, bf16>, b, swizzle);
}

// ---- in kernels
// ---------------------------------------------------------------------------------------------

// p on a 16-byte boundary.
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
struct Maximum {  // NaN wins, as in PyTorch
  __device__ float operator()(float a, float b) const { return a > b || a != a ? a : b; }
};

// Over the 32 lanes of a warp, the same bits in each. All lanes call it.
template <class T, class Op>
__device__ inline T warp_reduce(T v, Op op WITH_LINE) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    v = op(v, __shfl_xor_sync(0xffffffffu, v, distance PASS_LINE));
  return v;
}

// Over the block (x only, whole warps), the same bits in each thread: warps first, then their results in
// order. All threads call it.
template <class T, class Op>
__device__ inline T block_reduce(T v, Op op WITH_LINE) {
  SHARED(T, of_warp, 32);
  v = warp_reduce(v, op PASS_LINE);
  const int warps = int(blockDim.x / 32);
  if (warps == 1) return v;
  __syncthreads(LINE);  // the last reduction may still be read
  if (lane_of_warp() == 0) of_warp[warp_of_block()] = v;
  __syncthreads(LINE);
  v = of_warp[0];
  for (int w = 1; w < warps; ++w) v = op(v, of_warp[w]);
  return v;
}
