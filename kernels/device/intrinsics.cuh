// The device as nvcc sees it: launch(), shared memory, and one function for each PTX instruction that CUDA
// C++ has no name for. Only this file and intrinsics_wgmma.cuh contain inline PTX, and only this file launches kernels
// (tests/check_layers.sh). Kernels include kernels/device/device.h. kernels/emulate/ defines the same names for the
// emulated device.
//
// Each wrapper names its PTX instruction; the PTX ISA manual describes the instruction under that name.
// Wrappers of sm_90a instructions trap on other architectures, so that every kernel compiles for every
// architecture. The host functions call compute_capability() before they choose such a kernel.
#pragma once
#include <cuda.h>
#include <cuda_runtime.h>

#include <utility>
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define DAE_NVTX
#endif

namespace dae {

// Functions of the emulated device take the source line of the call as their last argument, so that a message
// can name it. Here the macros are empty.
#define WITH_LINE
#define PASS_LINE
#define LINE

// ---- launching -------------------------------------------------------------------------------------------

// Throws Fault::internal if a call of the CUDA runtime failed; `what` names the call.
inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(Fault::internal, "cuda: {}: {}", what, cudaGetErrorString(error));
}

// Launches kernel(args...) on the stream of `where`, with blocks of `block` threads and `shared_bytes` bytes
// of dynamic shared memory. Does nothing if the grid is empty. Profilers show `name`. Throws Fault::internal
// if the launch fails. Errors of the kernel itself appear at a later call, unless CUDA_LAUNCH_BLOCKING=1.
template <class... P, class... A>
void launch(Cuda where, const char* name, void (*kernel)(P...), Grid grid, dim3 block, size_t shared_bytes,
            A&&... args) {
  if (grid.empty()) return;
#ifdef DAE_NVTX
  struct Range {
    explicit Range(const char* name) { nvtxRangePushA(name); }
    ~Range() { nvtxRangePop(); }
  } range(name);
#endif
  allow_shared_memory(where, name, reinterpret_cast<const void*>(kernel), shared_bytes);
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim = {grid.cluster, 1, 1};
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(grid.x, grid.y, grid.z), config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes, config.stream = where.stream;
  config.attrs = &attribute, config.numAttrs = grid.cluster > 1 ? 1 : 0;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...), name);
}

// ---- shared memory ---------------------------------------------------------------------------------------

// A view of shared memory. Here it is a plain pointer; on the emulated device it checks every index.
template <class T>
class Shared {
 public:
  __device__ explicit Shared(T* data) : data_(data) {}
  template <class U>
  requires std::is_same_v<U, const T> __device__ operator Shared<U>() const { return Shared<U>(data_); }
  __device__ T& operator[](int i) const { return data_[i]; }
  __device__ Shared operator+(int i) const { return Shared(data_ + i); }   // the elements from i on
  __device__ Shared slice(int i, int) const { return Shared(data_ + i); }  // (begin, count)
  template <class U>
  __device__ Shared<U> as() const {  // the same bytes, as elements of type U
    return Shared<U>(reinterpret_cast<U*>(data_));
  }
  __device__ uint32_t address() const { return uint32_t(__cvta_generic_to_shared(data_)); }
  __device__ T* pointer() const { return data_; }

 private:
  T* data_;
};

// SHARED(float, name, 32) declares a static array of the block as a Shared<float> of 32 elements.
#define SHARED(T, name, count)                      \
  __shared__ __align__(16) T name##_array[(count)]; \
  const Shared<T> name(name##_array)

extern __shared__ __align__(1024) unsigned char dynamic_shared_memory[];

// Hands out the dynamic shared memory of the launch, array after array. Its start is aligned to 1024 bytes,
// as the 128-byte swizzle needs. take() returns the next `count` elements, aligned to `align` bytes.
class DynamicShared {
 public:
  template <class T>
  __device__ Shared<T> take(int count, int align = 16) {
    offset_ = (offset_ + align - 1) / align * align;
    T* data = reinterpret_cast<T*>(dynamic_shared_memory + offset_);
    offset_ += count * int(sizeof(T));
    return Shared<T>(data);
  }

 private:
  int offset_ = 0;
};

// Load and store 16 bytes of shared memory on a 16-byte boundary.
template <class T>
__device__ inline Pack<T> load16(Shared<T> from) {
  return *reinterpret_cast<const Pack<std::remove_const_t<T>>*>(from.pointer());
}
template <class T>
__device__ inline void store16(Shared<T> to, const Pack<T>& value) {
  *reinterpret_cast<Pack<T>*>(to.pointer()) = value;
}

// ---- barriers of a part of the block ---------------------------------------------------------------------

// bar.sync: waits until `threads` threads have arrived at barrier `id`, 1 to 15 (0 belongs to __syncthreads).
// `threads` is a multiple of 32, because each warp arrives as a whole.
__device__ inline void barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
// bar.arrive: arrives at barrier `id` without waiting. `threads` is the same count as in barrier_sync.
__device__ inline void barrier_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// ---- tensor cores of sm_80 -------------------------------------------------------------------------------

// ldmatrix: a warp loads four (x4) or two (x2) 8x8 matrices of 16-bit elements from shared memory.
//   address   lane 8 i + j passes row j of matrix i: 16 bytes on a 16-byte boundary
//   result    r[i] of lane l gets the elements (l / 4, 2 (l % 4) + {0, 1}) of matrix i
// The _trans functions load the transpose of each matrix. All 32 lanes call them.
template <class T>
__device__ inline void ldmatrix_x4(uint32_t (&r)[4], Shared<T> row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row.address())
               : "memory");
}
template <class T>
__device__ inline void ldmatrix_x4_trans(uint32_t (&r)[4], Shared<T> row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row.address())
               : "memory");
}
template <class T>
__device__ inline void ldmatrix_x2(uint32_t (&r)[2], Shared<T> row) {  // lanes 0 to 15 pass the rows
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(row.address())
               : "memory");
}
template <class T>
__device__ inline void ldmatrix_x2_trans(uint32_t (&r)[2], Shared<T> row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(row.address())
               : "memory");
}

// mma.sync.aligned.m16n8k16: a warp adds a product of matrices of type T to float accumulators.
//   d (16, 8) += a (16, 16) b (16, 8)
// Lane l holds these elements (row, column), with g = l / 4 and t = 2 (l % 4):
//   a[0..3]: (g, t + {0, 1}), (g + 8, t + {0, 1}), (g, t + 8 + {0, 1}), (g + 8, t + 8 + {0, 1})
//   b[0..1]: (t + {0, 1}, g), (t + 8 + {0, 1}, g)
//   d[0..3]: (g, t + {0, 1}), (g + 8, t + {0, 1})
// ldmatrix_x4 loads a from row-major storage (16, 16). ldmatrix_x2 loads b from its transpose, stored (8,
// 16), and ldmatrix_x2_trans loads b from storage (16, 8).
template <class T>
__device__ inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, f16>);
  if constexpr (std::is_same_v<T, bf16>)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// ---- asynchronous copies of sm_80 ------------------------------------------------------------------------

// cp.async.cg: starts a copy of 16 bytes from global to shared memory, both on a 16-byte boundary. It reads
// only the first `bytes` of the source and writes zeros after them. This thread sees the bytes after
// cp_async_wait; other threads see them after a barrier that follows the wait.
template <class T>
__device__ inline void cp_async(Shared<T> to, const T* from, int bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to.address()), "l"(from), "r"(bytes)
               : "memory");
}
// cp.async.commit_group: makes a group of all copies that this thread started since the last group.
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// cp.async.wait_group: waits until all but the newest `Groups` groups of this thread are complete.
template <int Groups>
__device__ inline void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Groups) : "memory");
}

// ---- Hopper (sm_90a) -------------------------------------------------------------------------------------

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define HOPPER_ASM(...) asm volatile(__VA_ARGS__)
#else
#define HOPPER_ASM(...) __trap()
#endif

// stmatrix: a warp stores four 8x8 matrices of 16-bit elements to shared memory. Addresses and registers are
// those of ldmatrix_x4; _trans stores the transpose of each matrix.
template <class T>
__device__ inline void stmatrix_x4(Shared<T> row, const uint32_t (&r)[4]) {
  HOPPER_ASM("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row.address()),
             "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
             : "memory");
}
template <class T>
__device__ inline void stmatrix_x4_trans(Shared<T> row, const uint32_t (&r)[4]) {
  HOPPER_ASM("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(row.address()),
             "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3])
             : "memory");
}

// elect.sync: returns true in exactly one lane of the warp. The hardware chooses the lane; it is the same
// lane in every call. All 32 lanes call it.
__device__ inline bool elect_one() {
  uint32_t elected = 0;
  HOPPER_ASM("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.b32 %0, 1, 0, p;\n}" : "=r"(elected));
  return elected != 0;
}

// setmaxnreg: sets the number of registers that each thread of this warpgroup may use from here on, a
// multiple of 8 from 24 to 256. All four warps of the warpgroup call it. The block's total does not grow: an
// increase waits until decreases in other warpgroups have freed enough registers.
template <int Registers>
__device__ inline void setmaxnreg_increase() {
  HOPPER_ASM("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers>
__device__ inline void setmaxnreg_decrease() {
  HOPPER_ASM("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}

// fence.proxy.async: makes this thread's writes to shared memory visible to TMA and wgmma that this thread
// starts later, or that other threads start after a barrier. It does nothing for the writes of other threads:
// every writing thread calls it.
__device__ inline void fence_proxy_async() { HOPPER_ASM("fence.proxy.async.shared::cta;" ::: "memory"); }
// fence.mbarrier_init: makes the mbarriers that this thread initialised visible to TMA and, after
// cluster_sync, to the other blocks of the cluster.
__device__ inline void fence_mbarrier_init() {
  HOPPER_ASM("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// mbarrier: a barrier in shared memory with phases. A phase ends when `count` arrivals have happened and all
// bytes that the arrivals expected have been copied. PTX ISA, mbarrier.
using Mbarrier = uint64_t;

// mbarrier.init: initialises the barrier for `count` arrivals in each phase.
__device__ inline void mbarrier_init(Shared<Mbarrier> b, int count) {
  HOPPER_ASM("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(b.address()), "r"(count) : "memory");
}
// mbarrier.arrive: arrives once.
__device__ inline void mbarrier_arrive(Shared<Mbarrier> b) {
  HOPPER_ASM("{\n.reg .b64 s;\nmbarrier.arrive.shared::cta.b64 s, [%0];\n}" ::"r"(b.address()) : "memory");
}
// mbarrier.arrive.expect_tx: arrives once and adds `bytes` to the bytes that this phase expects.
__device__ inline void mbarrier_arrive_expect_tx(Shared<Mbarrier> b, int bytes) {
  HOPPER_ASM("{\n.reg .b64 s;\nmbarrier.arrive.expect_tx.shared::cta.b64 s, [%0], %1;\n}" ::"r"(b.address()),
             "r"(bytes)
             : "memory");
}
// mapa, mbarrier.arrive: arrives at the barrier of block `rank` of the cluster, at the same shared-memory
// address as `b`.
__device__ inline void mbarrier_arrive_cluster(Shared<Mbarrier> b, int rank) {
  HOPPER_ASM(
      "{\n.reg .b32 a;\nmapa.shared::cluster.u32 a, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [a];\n}" ::"r"(b.address()),
      "r"(rank)
      : "memory");
}
// mbarrier.try_wait.parity: returns true if the phase of this parity has ended. Otherwise it waits for a time
// that the hardware limits, and returns false if the phase has still not ended. The first phase has parity 0,
// so a wait for parity 1 returns true at once on a new barrier.
__device__ inline bool mbarrier_try_wait(Shared<Mbarrier> b, int parity) {
  uint32_t over = 0;
  HOPPER_ASM(
      "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.b32 %0, 1, 0, p;\n}"
      : "=r"(over)
      : "r"(b.address()), "r"(parity)
      : "memory");
  return over != 0;
}
// Waits until the phase of this parity has ended. With DAE_DEBUG_WAITS it traps after 2^20 unsuccessful
// tries.
__device__ inline void mbarrier_wait(Shared<Mbarrier> b, int parity) {
#ifdef DAE_DEBUG_WAITS  // no printf: a function call among wgmma instructions would serialise them
  for (int tries = 0; !mbarrier_try_wait(b, parity); ++tries)
    if (tries == 1 << 20) __trap();
#else
  while (!mbarrier_try_wait(b, parity)) {}
#endif
}

// ---- TMA: copies of boxes of a tensor between global and shared memory -----------------------------------

using TensorMap = CUtensorMap;  // a kernel takes it as `const __grid_constant__ TensorMap`

#define TMA_LOAD(rank, multicast, coordinates, ...)                                                         \
  HOPPER_ASM("cp.async.bulk.tensor." rank "d.shared::cluster.global.mbarrier::complete_tx::bytes" multicast \
             " [%0], [%1, " coordinates ::"r"(to.address()),                                                \
             "l"(&map), "r"(b.address()), __VA_ARGS__                                                       \
             : "memory")

// cp.async.bulk.tensor, global to shared memory: starts the copy of the box at the coordinates `at` to `to`.
// The outermost coordinate comes first, as in the tensor's shape. Elements outside the tensor become zero.
// The copy completes the bytes of the whole box at mbarrier `b`. One thread calls it.
template <class T, class... C>
__device__ inline void tma_load(Shared<T> to, const TensorMap& map, Shared<Mbarrier> b, C... at) {
  const int c[] = {int(at)...};
  if constexpr (sizeof...(C) == 2) TMA_LOAD("2", "", "{%3, %4}], [%2];", "r"(c[1]), "r"(c[0]));
  if constexpr (sizeof...(C) == 3) TMA_LOAD("3", "", "{%3, %4, %5}], [%2];", "r"(c[2]), "r"(c[1]), "r"(c[0]));
  if constexpr (sizeof...(C) == 4)
    TMA_LOAD("4", "", "{%3, %4, %5, %6}], [%2];", "r"(c[3]), "r"(c[2]), "r"(c[1]), "r"(c[0]));
  if constexpr (sizeof...(C) == 5)
    TMA_LOAD("5", "", "{%3, %4, %5, %6, %7}], [%2];", "r"(c[4]), "r"(c[3]), "r"(c[2]), "r"(c[1]), "r"(c[0]));
  static_assert(sizeof...(C) >= 2 && sizeof...(C) <= 5);
}
// cp.async.bulk.tensor with .multicast::cluster: copies as tma_load does, to every block of the cluster whose
// bit in `blocks` is set. Each block gets the box at the address `to` and the bytes at its own mbarrier `b`.
template <class T, class... C>
__device__ inline void tma_load_multicast(Shared<T> to, const TensorMap& map, Shared<Mbarrier> b,
                                          uint16_t blocks, C... at) {
  const int c[] = {int(at)...};
#define MULTICAST ".multicast::cluster"
  if constexpr (sizeof...(C) == 2)
    TMA_LOAD("2", MULTICAST, "{%4, %5}], [%2], %3;", "h"(blocks), "r"(c[1]), "r"(c[0]));
  if constexpr (sizeof...(C) == 3)
    TMA_LOAD("3", MULTICAST, "{%4, %5, %6}], [%2], %3;", "h"(blocks), "r"(c[2]), "r"(c[1]), "r"(c[0]));
  if constexpr (sizeof...(C) == 4)
    TMA_LOAD("4", MULTICAST, "{%4, %5, %6, %7}], [%2], %3;", "h"(blocks), "r"(c[3]), "r"(c[2]), "r"(c[1]),
             "r"(c[0]));
  if constexpr (sizeof...(C) == 5)
    TMA_LOAD("5", MULTICAST, "{%4, %5, %6, %7, %8}], [%2], %3;", "h"(blocks), "r"(c[4]), "r"(c[3]), "r"(c[2]),
             "r"(c[1]), "r"(c[0]));
  static_assert(sizeof...(C) >= 2 && sizeof...(C) <= 5);
#undef MULTICAST
}
#undef TMA_LOAD

// cp.async.bulk.tensor, shared to global memory: starts the copy of `from` to the box at the coordinates
// `at`. Elements outside the tensor are not written. One thread calls it.
template <class T, class... C>
__device__ inline void tma_store(const TensorMap& map, Shared<T> from, C... at) {
  const int c[] = {int(at)...};
#define TMA_STORE(rank, coordinates, ...)                                                     \
  HOPPER_ASM("cp.async.bulk.tensor." rank "d.global.shared::cta.bulk_group [%0, " coordinates \
             "], [%1];" ::"l"(&map),                                                          \
             "r"(from.address()), __VA_ARGS__                                                 \
             : "memory")
  if constexpr (sizeof...(C) == 2) TMA_STORE("2", "{%2, %3}", "r"(c[1]), "r"(c[0]));
  if constexpr (sizeof...(C) == 3) TMA_STORE("3", "{%2, %3, %4}", "r"(c[2]), "r"(c[1]), "r"(c[0]));
  if constexpr (sizeof...(C) == 4)
    TMA_STORE("4", "{%2, %3, %4, %5}", "r"(c[3]), "r"(c[2]), "r"(c[1]), "r"(c[0]));
  if constexpr (sizeof...(C) == 5)
    TMA_STORE("5", "{%2, %3, %4, %5, %6}", "r"(c[4]), "r"(c[3]), "r"(c[2]), "r"(c[1]), "r"(c[0]));
  static_assert(sizeof...(C) >= 2 && sizeof...(C) <= 5);
#undef TMA_STORE
}
// cp.async.bulk.commit_group: makes a group of all stores that this thread started since the last group.
__device__ inline void tma_store_commit() { HOPPER_ASM("cp.async.bulk.commit_group;" ::: "memory"); }
// cp.async.bulk.wait_group.read: waits until all but the newest `Groups` groups of this thread have read
// their shared memory, which may then be overwritten. Before a thread ends, it waits at least in this way for
// all of its groups. The bytes in global memory are visible when the kernel has ended.
template <int Groups>
__device__ inline void tma_store_wait_read() {
  HOPPER_ASM("cp.async.bulk.wait_group.read %0;" ::"n"(Groups) : "memory");
}
// cp.async.bulk.wait_group: waits until all but the newest `Groups` groups of this thread are complete. This
// thread then sees the bytes in global memory.
template <int Groups>
__device__ inline void tma_store_wait() {
  HOPPER_ASM("cp.async.bulk.wait_group %0;" ::"n"(Groups) : "memory");
}

// ---- clusters: blocks that run together and access each other's shared memory ----------------------------

// %cluster_ctarank: returns the rank of this block in its cluster.
__device__ inline int cluster_rank() {
  uint32_t rank = 0;
  HOPPER_ASM("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return int(rank);
}
// barrier.cluster.arrive, barrier.cluster.wait: waits for all threads of all blocks of the cluster.
__device__ inline void cluster_sync() {
  HOPPER_ASM("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
// ---- wgmma: the tensor cores of a warpgroup (128 threads) ------------------------------------------------

// The descriptor of a wgmma operand in shared memory. The operand has the layout of a TMA box with rows of 64
// elements (128 bytes) and the 128-byte swizzle, and lies on a 1024-byte boundary. If Transposed is true, the
// contiguous dimension is m (of a) or n (of b), else it is k. PTX ISA, wgmma.mma_async, matrix descriptor.
template <class T, bool Transposed>
struct Operand {
  uint64_t descriptor;
};
// Returns a matrix descriptor with the 128-byte swizzle (bit 62). The address, the leading-dimension byte
// offset and the stride byte offset are stored in units of 16 bytes.
__device__ inline uint64_t operand_descriptor(uint32_t address, int leading_bytes, int stride_bytes) {
  return uint64_t(address >> 4 & 0x3fff) | uint64_t(leading_bytes >> 4) << 16 |
         uint64_t(stride_bytes >> 4) << 32 | uint64_t{1} << 62;
}
// Returns the operand of columns k to k + 15 of a tile stored (rows, 64). k is a multiple of 16.
template <class T>
__device__ inline auto operand_k_major(Shared<T> tile, int k) {
  return Operand<std::remove_const_t<T>, false>{operand_descriptor(tile.address() + k * 2, 16, 1024)};
}
// Returns the operand of rows k to k + 15 of a tile stored (rows, 64), where the rows are the dimension k.
// The tiles of the next 64 columns follow at distances of `next` elements.
template <class T>
__device__ inline auto operand_mn_major(Shared<T> tile, int k, int next) {
  return Operand<std::remove_const_t<T>, true>{operand_descriptor(tile.address() + k * 128, next * 2, 1024)};
}

// Emits no instruction. Prevents the compiler from moving uses of these registers across the call.
template <int Size>
__device__ inline void touch_registers(float (&d)[Size]) {
#pragma unroll
  for (int i = 0; i < Size; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

// wgmma.fence: orders accesses to registers before the wgmma that follow. Call it before the first wgmma, and
// after a change of the registers of an accumulator. Pass all accumulators that wgmma in flight use.
template <class... D>
__device__ inline void wgmma_fence(D&... d) {
  (touch_registers(d), ...);
  HOPPER_ASM("wgmma.fence.sync.aligned;" ::: "memory");
}
// wgmma.commit_group: makes a group of all wgmma that this warp issued since the last group.
__device__ inline void wgmma_commit() { HOPPER_ASM("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// wgmma.wait_group: waits until all but the newest `Groups` groups are complete. Pass the accumulators that
// are used after it.
template <int Groups, class... D>
__device__ inline void wgmma_wait(D&... d) {
  HOPPER_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(Groups) : "memory");
  (touch_registers(d), ...);
}

}  // namespace dae

#include "kernels/device/intrinsics_wgmma.cuh"
