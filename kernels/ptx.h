// The device as nvcc sees it: launching, shared memory, and a function for every instruction that has no name
// in CUDA C++. This is the only file with inline PTX and <<<>>>-like launches (tests/check_layers.sh);
// kernels include kernels/device.h. kernels/emulate/ has the same names for the processor.
//
// Instructions of sm_90a trap elsewhere, so that every kernel compiles for every architecture; the launchers
// ask compute_capability() before they choose such a kernel.
#pragma once
#include <cuda.h>
#include <cuda_runtime.h>

#include <utility>
#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define DAE_NVTX
#endif

// Emulated functions take the place they are called from, so that a message can name it.
#define WITH_LINE
#define PASS_LINE
#define LINE

// ---- launching
// ----------------------------------------------------------------------------------------------

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) fail(Fault::internal, "cuda: {}: {}", what, cudaGetErrorString(error));
}

// kernel<<<grid, block, shared_bytes, where.stream>>>(args...), checked; nothing if the grid is empty.
// Profilers show `name`. Errors of the kernel itself appear at a later call, unless CUDA_LAUNCH_BLOCKING=1.
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

// ---- shared memory
// ------------------------------------------------------------------------------------------

// A view of shared memory. The emulated device checks every index; here it is a pointer.
template <class T>
class Shared {
 public:
  __device__ explicit Shared(T* data) : data_(data) {}
  template <class U>
  requires std::is_same_v<U, const T> __device__ operator Shared<U>() const { return Shared<U>(data_); }
  __device__ T& operator[](int i) const { return data_[i]; }
  __device__ Shared operator+(int i) const { return Shared(data_ + i); }   // from element i on
  __device__ Shared slice(int i, int) const { return Shared(data_ + i); }  // (begin, count)
  template <class U>
  __device__ Shared<U> as() const {  // the same bytes as another type
    return Shared<U>(reinterpret_cast<U*>(data_));
  }
  __device__ uint32_t address() const { return uint32_t(__cvta_generic_to_shared(data_)); }
  __device__ T* pointer() const { return data_; }

 private:
  T* data_;
};

// SHARED(float, name, 32): a block's own array, as a Shared<float>.
#define SHARED(T, name, count)                      \
  __shared__ __align__(16) T name##_array[(count)]; \
  const Shared<T> name(name##_array)

extern __shared__ __align__(1024) unsigned char dynamic_shared_memory[];

// The dynamic shared memory of the launch, handed out piece by piece. Aligned to 1024 bytes at its start.
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

template <class T>
__device__ inline Pack<T> load16(Shared<T> from) {
  return *reinterpret_cast<const Pack<std::remove_const_t<T>>*>(from.pointer());
}
template <class T>
__device__ inline void store16(Shared<T> to, const Pack<T>& value) {
  *reinterpret_cast<Pack<T>*>(to.pointer()) = value;
}

// ---- barriers of a part of the block
// ------------------------------------------------------------------------

// Waits until `threads` threads, whole warps, have come to barrier `id` (1 to 15).
__device__ inline void barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ inline void barrier_arrive(int id, int threads) {  // counts among them, without waiting
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// ---- tensor cores of sm_80
// ----------------------------------------------------------------------------------

// Four (two) 8x8 matrices of 16-bit elements. Lane 8 i + j gives row j of matrix i, 16 bytes on a 16-byte
// boundary; r[i] of lane l gets elements (l / 4, 2 (l % 4) + {0, 1}) of matrix i; _trans: of its transpose.
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
__device__ inline void ldmatrix_x2(uint32_t (&r)[2], Shared<T> row) {  // rows from lanes 0 to 15
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

// d (16, 8) += a (16, 16) b (16, 8). In lane l, with g = l / 4 and t = 2 (l % 4):
//   a[0..3]: (g, t + {0, 1}), (g + 8, t + {0, 1}), (g, t + 8 + {0, 1}), (g + 8, t + 8 + {0, 1})
//   b[0..1]: (t + {0, 1}, g), (t + 8 + {0, 1}, g)      d[0..3]: (g, t + {0, 1}), (g + 8, t + {0, 1})
// So a is ldmatrix_x4 of row-major a, b is ldmatrix of b stored (8, 16), or ldmatrix_trans of b stored (16,
// 8).
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

// ---- asynchronous copies of sm_80
// ---------------------------------------------------------------------------

// 16 bytes, both ends on a 16-byte boundary; of the source only the first `bytes` are read, the rest is zero.
// Seen by this thread after cp_async_wait, by others after a barrier as well.
template <class T>
__device__ inline void cp_async(Shared<T> to, const T* from, int bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to.address()), "l"(from), "r"(bytes)
               : "memory");
}
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int Groups>  // all but the newest `Groups` committed groups are complete
__device__ inline void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Groups) : "memory");
}

// ---- Hopper
// -------------------------------------------------------------------------------------------------

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define HOPPER_ASM(...) asm volatile(__VA_ARGS__)
#else
#define HOPPER_ASM(...) __trap()
#endif

// Four 8x8 matrices from registers to shared memory: ldmatrix_x4 the other way round.
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

// One thread of the warp, any, but always the same: true there alone. All 32 lanes call it.
__device__ inline bool elect_one() {
  uint32_t elected = 0;
  HOPPER_ASM("{\n.reg .pred p;\nelect.sync _|p, 0xffffffff;\nselp.b32 %0, 1, 0, p;\n}" : "=r"(elected));
  return elected != 0;
}

// Registers a thread of this warpgroup may use from here on: a multiple of 8, 24 to 256. All four warps call
// it. The block's stay what they were in sum: an increase waits until others have given back enough.
template <int Registers>
__device__ inline void setmaxnreg_increase() {
  HOPPER_ASM("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(Registers));
}
template <int Registers>
__device__ inline void setmaxnreg_decrease() {
  HOPPER_ASM("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(Registers));
}

// What this thread wrote to shared memory is seen by the TMA and wgmma that it starts, or that others start
// after a barrier. It does nothing for what others wrote: every writer calls it.
__device__ inline void fence_proxy_async() { HOPPER_ASM("fence.proxy.async.shared::cta;" ::: "memory"); }
// Initialised mbarriers are seen by TMA and, after cluster_sync, by the cluster.
__device__ inline void fence_mbarrier_init() {
  HOPPER_ASM("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// mbarrier: a phase ends when `count` threads have arrived and as many bytes have come as were expected.
using Mbarrier = uint64_t;

__device__ inline void mbarrier_init(Shared<Mbarrier> b, int count) {
  HOPPER_ASM("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(b.address()), "r"(count) : "memory");
}
__device__ inline void mbarrier_arrive(Shared<Mbarrier> b) {
  HOPPER_ASM("{\n.reg .b64 s;\nmbarrier.arrive.shared::cta.b64 s, [%0];\n}" ::"r"(b.address()) : "memory");
}
__device__ inline void mbarrier_arrive_expect_tx(Shared<Mbarrier> b, int bytes) {
  HOPPER_ASM("{\n.reg .b64 s;\nmbarrier.arrive.expect_tx.shared::cta.b64 s, [%0], %1;\n}" ::"r"(b.address()),
             "r"(bytes)
             : "memory");
}
// At the same place in block `rank` of the cluster.
__device__ inline void mbarrier_arrive_cluster(Shared<Mbarrier> b, int rank) {
  HOPPER_ASM(
      "{\n.reg .b32 a;\nmapa.shared::cluster.u32 a, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [a];\n}" ::"r"(b.address()),
      "r"(rank)
      : "memory");
}
// True once the phase of this parity is over: the first phase has parity 0, so that parity 1 passes at once
// on a new barrier. False when it has waited for a while; nobody says how long.
__device__ inline bool mbarrier_try_wait(Shared<Mbarrier> b, int parity) {
  uint32_t over = 0;
  HOPPER_ASM(
      "{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.b32 %0, 1, 0, p;\n}"
      : "=r"(over)
      : "r"(b.address()), "r"(parity)
      : "memory");
  return over != 0;
}
__device__ inline void mbarrier_wait(Shared<Mbarrier> b, int parity) {
#ifdef DAE_DEBUG_WAITS  // no printf: a call between its instructions would serialise wgmma
  for (int tries = 0; !mbarrier_try_wait(b, parity); ++tries)
    if (tries == 1 << 20) __trap();
#else
  while (!mbarrier_try_wait(b, parity)) {}
#endif
}

// ---- TMA: boxes of a tensor between global and shared memory
// ------------------------------------------------

using TensorMap = CUtensorMap;  // a kernel takes it as `const __grid_constant__ TensorMap`

__device__ inline void prefetch_tensor_map(const TensorMap& map) {
  HOPPER_ASM("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

#define TMA_LOAD(rank, multicast, coordinates, ...)                                                         \
  HOPPER_ASM("cp.async.bulk.tensor." rank "d.shared::cluster.global.mbarrier::complete_tx::bytes" multicast \
             " [%0], [%1, " coordinates ::"r"(to.address()),                                                \
             "l"(&map), "r"(b.address()), __VA_ARGS__                                                       \
             : "memory")

// One thread starts the copy of the box at these coordinates, outermost first as in the tensor's shape, to
// `to`; what lies outside the tensor is zero. Its bytes, the whole box, count at mbarrier `b`.
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
// To the same place, and counted at the same mbarrier, in every block of the cluster whose bit is set.
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

// One thread starts the copy of `from` to the box at these coordinates; what lies outside is not written.
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
__device__ inline void tma_store_commit() { HOPPER_ASM("cp.async.bulk.commit_group;" ::: "memory"); }
// All but the newest `Groups` committed groups of this thread have read their shared memory, which may be
// used again; this much is needed of all before the thread ends. What they wrote is seen when the kernel has
// ended.
template <int Groups>
__device__ inline void tma_store_wait_read() {
  HOPPER_ASM("cp.async.bulk.wait_group.read %0;" ::"n"(Groups) : "memory");
}
// The same, and what they wrote is seen by this thread.
template <int Groups>
__device__ inline void tma_store_wait() {
  HOPPER_ASM("cp.async.bulk.wait_group %0;" ::"n"(Groups) : "memory");
}

// ---- clusters: blocks that run together and reach each other's shared memory
// --------------------------------

__device__ inline int cluster_rank() {  // of this block in its cluster
  uint32_t rank = 0;
  HOPPER_ASM("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return int(rank);
}
__device__ inline void cluster_sync() {  // all threads of all blocks of the cluster
  HOPPER_ASM("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
template <class T>
__device__ inline Shared<T> in_cluster(Shared<T> mine, int rank) {  // the same place in another block
  uint64_t there = 0;
  HOPPER_ASM("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(mine.pointer()), "r"(rank));
  return Shared<T>(reinterpret_cast<T*>(there));
}

// ---- wgmma: the tensor cores of a warpgroup (128 threads)
// ----------------------------------------------------

// A matrix in shared memory in the layout that a TMA box of 64 elements (128 bytes) a row leaves with the
// 128-byte swizzle, on a 1024-byte boundary. Transposed: the contiguous dimension is m (or n), not k.
template <class T, bool Transposed>
struct Operand {
  uint64_t descriptor;
};
__device__ inline uint64_t operand_descriptor(uint32_t address, int leading_bytes, int stride_bytes) {
  return uint64_t(address >> 4 & 0x3fff) | uint64_t(leading_bytes >> 4) << 16 |
         uint64_t(stride_bytes >> 4) << 32 | uint64_t{1} << 62;
}
// Columns k to k + 15 of a tile stored (rows, 64), k a multiple of 16.
template <class T>
__device__ inline auto operand_k_major(Shared<T> tile, int k) {
  return Operand<std::remove_const_t<T>, false>{operand_descriptor(tile.address() + k * 2, 16, 1024)};
}
// Rows k to k + 15 of a tile stored (k, 64), where further tiles of 64 columns follow `next` elements apart.
template <class T>
__device__ inline auto operand_mn_major(Shared<T> tile, int k, int next) {
  return Operand<std::remove_const_t<T>, true>{operand_descriptor(tile.address() + k * 128, next * 2, 1024)};
}

// Keeps the compiler from moving what uses these registers across this place.
template <int Size>
__device__ inline void touch_registers(float (&d)[Size]) {
#pragma unroll
  for (int i = 0; i < Size; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

// Before the first wgmma, and after registers of an accumulator were touched. Pass all accumulators in
// flight.
template <class... D>
__device__ inline void wgmma_fence(D&... d) {
  (touch_registers(d), ...);
  HOPPER_ASM("wgmma.fence.sync.aligned;" ::: "memory");
}
__device__ inline void wgmma_commit() { HOPPER_ASM("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// All but the newest `Groups` committed groups are complete. Pass the accumulators that are used after it.
template <int Groups, class... D>
__device__ inline void wgmma_wait(D&... d) {
  HOPPER_ASM("wgmma.wait_group.sync.aligned %0;" ::"n"(Groups) : "memory");
  (touch_registers(d), ...);
}

#include "kernels/wgmma.h"
