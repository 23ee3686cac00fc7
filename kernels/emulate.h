// The emulated device: every .cu file compiles as C++ (-DDAE_EMULATE) and runs on the processor, one fiber a
// CUDA thread, blocks spread over the cores. It is for tests and for reading along in a debugger, not fast.
//
// It is as unkind as the rules allow. Shared memory starts as NaN. wgmma happens when somebody waits for it,
// not before; asynchronous copies likewise, or else at once. Threads run as far as they can, in one of four
// orders. What the rules forbid stops with a message that names kernel, block, thread and line: an index
// outside shared memory, a barrier that not all threads reach, a wait that cannot end, a TMA or wgmma that
// reads what was written without a proxy fence. It cannot show bank conflicts, spills, occupancy or the order
// of global memory.
#pragma once
#include <cstdint>

namespace emulate {

// Which thread runs next when one has to wait: the next; the one before; one of its own warp, else of the
// first warp that can; any, by seed, also at accesses of shared memory.
enum class Schedule { round_robin, reverse, one_warp_first, random };
inline constexpr Schedule kSchedules[] = {Schedule::round_robin, Schedule::reverse, Schedule::one_warp_first,
                                          Schedule::random};

// When cp.async and TMA copies to shared memory take place: late, when somebody waits for them, which shows
// a missing wait; early, as soon as they are asked for, which shows a place that is filled while others
// still read it.
enum class Copies { late, early };

// For all launches from now on. At the start: DAE_SCHEDULE, "reverse" or "random:7", else round_robin, and
// DAE_COPIES, "early" or "late", else late.
void set_schedule(Schedule schedule, uint64_t seed = 0, Copies copies = Copies::late);
void set_compute_capability(int capability);  // 90 at the start

}  // namespace emulate

#ifdef DAE_EMULATE
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <functional>
#include <optional>
#include <source_location>
#include <tuple>
#include <vector>

// ---- names of CUDA C++
// --------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
#define EMULATE_VECTOR(T, name, align)                       \
  struct alignas(2 * align) name##2 {                        \
    T x, y;                                                  \
  };                                                         \
  struct alignas(4 * align) name##4 {                        \
    T x, y, z, w;                                            \
  };                                                         \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; } \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
EMULATE_VECTOR(float, float, 4)
EMULATE_VECTOR(int, int, 4)
EMULATE_VECTOR(unsigned, uint, 4)
#undef EMULATE_VECTOR

namespace emulate {

using Line = std::source_location;
// Emulated functions end with the line they are called from; a kernel's own device functions may pass it on.
#define WITH_LINE , emulate::Line line = emulate::Line::current()
#define PASS_LINE , line
#define LINE line

struct Place {  // of the running thread; for a debugger's conditions, too
  dim3 thread, block, block_size, grid_size;
};
extern thread_local const Place* place;

// A captured graph (gpu.h) is the work that was queued while `recorded` held a list.
inline std::optional<std::vector<std::function<void()>>> recorded;
template <class F>
void run_or_record(F work) {
  if (recorded) recorded->push_back(work);
  else work();
}

void run(const char* name, const dim3& grid, unsigned cluster, const dim3& block, size_t shared_bytes,
         const std::function<void()>& kernel);

// Shared memory. All of it takes part in a check of the running block.
void* dynamic_shared(int64_t begin, int64_t bytes, Line line);
void* static_shared(const void* name, int64_t bytes);
void* in_block(void* mine, int rank, Line line);
void accessed(void* data, int bytes);  // perhaps about to be written
void written(void* data, int bytes);
[[noreturn]] void out_of_range(int64_t index, int64_t size, Line line);
void require(const void* view, int64_t has, int64_t needs, int align, const char* what, Line line);

struct Index {  // takes down the line of the access
  int64_t value;
  Line line;
  template <std::integral I>
  Index(I value, Line line = Line::current()) : value(int64_t(value)), line(line) {}
};

// Barriers. A collective of a warp: `mine` points to this lane's operands; the last lane to come calls
// `compute` with those of all, null for lanes that take no part.
using Compute = void (*)(void* const* lanes);
void warp_meet(const char* what, uint32_t mask, void* mine, Compute compute, Line line);
int block_barrier(const char* what, int id, int threads, int vote, bool wait, Line line);
void cluster_barrier(Line line);

template <class T>
struct Shuffle {
  T value, result;
  int source;
};

}  // namespace emulate

#define threadIdx (emulate::place->thread)
#define blockIdx (emulate::place->block)
#define blockDim (emulate::place->block_size)
#define gridDim (emulate::place->grid_size)
inline constexpr int warpSize = 32;

inline void __syncthreads(emulate::Line line = emulate::Line::current()) {
  emulate::block_barrier("__syncthreads", 0, 0, 0, true, line);
}
inline int __syncthreads_or(int p, emulate::Line line = emulate::Line::current()) {
  return emulate::block_barrier("__syncthreads_or", 0, 0, p != 0, true, line) > 0;
}
inline int __syncthreads_count(int p, emulate::Line line = emulate::Line::current()) {
  return emulate::block_barrier("__syncthreads_count", 0, 0, p != 0, true, line);
}
inline void __syncwarp(uint32_t mask = 0xffffffffu, emulate::Line line = emulate::Line::current()) {
  emulate::warp_meet(
      "__syncwarp", mask, &mask, [](void* const*) {}, line);
}

namespace emulate {

// source: the lane that is read; a lane outside the warp's 32 gets its own value back.
template <class T>
T shuffle(const char* what, uint32_t mask, T value, int source, Line line) {
  Shuffle<T> mine{value, value, source};
  warp_meet(
      what, mask, &mine,
      [](void* const* lanes) {
        for (int i = 0; i < 32; ++i)
          if (auto* to = static_cast<Shuffle<T>*>(lanes[i]); to && to->source >= 0 && to->source < 32)
            if (auto* from = static_cast<Shuffle<T>*>(lanes[to->source])) to->result = from->value;
      },
      line);
  return mine.result;
}
int lane();

}  // namespace emulate

template <class T>
T __shfl_sync(uint32_t mask, T v, int source, emulate::Line line = emulate::Line::current()) {
  return emulate::shuffle("__shfl_sync", mask, v, source & 31, line);
}
template <class T>
T __shfl_xor_sync(uint32_t mask, T v, int bits, emulate::Line line = emulate::Line::current()) {
  return emulate::shuffle("__shfl_xor_sync", mask, v, emulate::lane() ^ bits, line);
}
template <class T>
T __shfl_down_sync(uint32_t mask, T v, unsigned by, emulate::Line line = emulate::Line::current()) {
  return emulate::shuffle("__shfl_down_sync", mask, v, emulate::lane() + int(by), line);
}
template <class T>
T __shfl_up_sync(uint32_t mask, T v, unsigned by, emulate::Line line = emulate::Line::current()) {
  return emulate::shuffle("__shfl_up_sync", mask, v, emulate::lane() - int(by), line);
}
inline uint32_t __ballot_sync(uint32_t mask, int p, emulate::Line line = emulate::Line::current()) {
  struct Vote {
    uint32_t bit, result;
  } mine{p ? 1u << emulate::lane() : 0u, 0};
  emulate::warp_meet(
      "__ballot_sync", mask, &mine,
      [](void* const* lanes) {
        uint32_t all = 0;
        for (int i = 0; i < 32; ++i)
          if (lanes[i]) all |= static_cast<Vote*>(lanes[i])->bit;
        for (int i = 0; i < 32; ++i)
          if (lanes[i]) static_cast<Vote*>(lanes[i])->result = all;
      },
      line);
  return mine.result;
}
inline int __any_sync(uint32_t mask, int p, emulate::Line line = emulate::Line::current()) {
  return __ballot_sync(mask, p, line) != 0;
}
inline int __all_sync(uint32_t mask, int p, emulate::Line line = emulate::Line::current()) {
  return __ballot_sync(mask, !p, line) == 0;
}

// Blocks run at the same time, so these are atomic here as well.
template <class T>
T atomicAdd(T* p, std::type_identity_t<T> v) {
  static_assert(std::is_integral_v<T>, "sums of floats in any order are not deterministic");
  return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
template <std::integral T>
T atomicExch(T* p, std::type_identity_t<T> v) {
  return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}
template <std::integral T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}
template <std::integral T>
T atomicMax(T* p, std::type_identity_t<T> v) {
  T old = __atomic_load_n(p, __ATOMIC_SEQ_CST);
  while (old < v && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
  return old;
}
template <std::integral T>
T atomicMin(T* p, std::type_identity_t<T> v) {
  T old = __atomic_load_n(p, __ATOMIC_SEQ_CST);
  while (old > v && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
  return old;
}
template <std::integral T>
T atomicOr(T* p, std::type_identity_t<T> v) {
  return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
}
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() {}

template <class T>
T __ldg(const T* p) {
  return *p;
}
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float sinpif(float x) { return float(std::sin(3.14159265358979323846 * double(x))); }
inline float cospif(float x) { return float(std::cos(3.14159265358979323846 * double(x))); }
inline uint32_t __float_as_uint(float x) { return std::bit_cast<uint32_t>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __uint_as_float(uint32_t x) { return std::bit_cast<float>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __popc(uint32_t x) { return std::popcount(x); }
inline int __clz(uint32_t x) { return std::countl_zero(x); }
inline int __ffs(uint32_t x) { return x ? std::countr_zero(x) + 1 : 0; }
template <class A, class B>
auto min(A a, B b) {
  using C = std::common_type_t<A, B>;
  return C(b) < C(a) ? C(b) : C(a);
}
template <class A, class B>
auto max(A a, B b) {
  using C = std::common_type_t<A, B>;
  return C(a) < C(b) ? C(b) : C(a);
}

// The few functions of CUDA's runtime that launchers use. Work is done when a call returns.
using cudaError_t = int;
inline constexpr cudaError_t cudaSuccess = 0;
inline void check(cudaError_t, const char*) {}
inline cudaError_t cudaMemsetAsync(void* p, int byte, size_t bytes, Stream) {
  emulate::run_or_record([=] { std::memset(p, byte, bytes); });
  return cudaSuccess;
}

// ---- launching
// ----------------------------------------------------------------------------------------------

template <class... P, class... A>
void launch(Cuda, const char* name, void (*kernel)(P...), Grid grid, dim3 block, size_t shared_bytes,
            A&&... args) {
  if (grid.empty()) return;
  emulate::run_or_record([=, values = std::tuple<std::decay_t<P>...>(static_cast<P>(args)...)] {
    emulate::run(name, dim3(grid.x, grid.y, grid.z), grid.cluster, block, shared_bytes,
                 [&] { std::apply(kernel, values); });
  });
}

// ---- shared memory
// ------------------------------------------------------------------------------------------

template <class T>
class Shared {
 public:
  Shared(T* data, int64_t size) : data_(data), size_(size) {}
  operator Shared<const T>() const { return Shared<const T>(data_, size_); }
  T& operator[](emulate::Index i) const {
    if (i.value < 0 || i.value >= size_) emulate::out_of_range(i.value, size_, i.line);
    if constexpr (!std::is_const_v<T>) emulate::accessed(data_ + i.value, sizeof(T));
    return data_[i.value];
  }
  Shared operator+(emulate::Index i) const {
    if (i.value < 0 || i.value > size_) emulate::out_of_range(i.value, size_, i.line);
    return Shared(data_ + i.value, size_ - i.value);
  }
  Shared slice(emulate::Index i, int64_t count) const {
    if (i.value < 0 || i.value + count > size_) emulate::out_of_range(i.value + count - 1, size_, i.line);
    return Shared(data_ + i.value, count);
  }
  template <class U>
  Shared<U> as() const {
    return Shared<U>(reinterpret_cast<U*>(data_), size_ * int64_t(sizeof(T)) / int64_t(sizeof(U)));
  }
  int64_t bytes() const { return size_ * int64_t(sizeof(T)); }
  T* pointer() const { return data_; }

 private:
  T* data_;
  int64_t size_;
};

#define SHARED(T, name, count) \
  static char name##_place;    \
  const Shared<T> name(        \
      static_cast<T*>(emulate::static_shared(&name##_place, int64_t(count) * int64_t(sizeof(T)))), (count))

class DynamicShared {
 public:
  template <class T>
  Shared<T> take(int count, int align = 16, emulate::Line line = emulate::Line::current()) {
    const int64_t bytes = int64_t(count) * int64_t(sizeof(T));
    offset_ = (offset_ + align - 1) / align * align;
    T* data = static_cast<T*>(emulate::dynamic_shared(offset_, bytes, line));
    offset_ += bytes;
    return Shared<T>(data, count);
  }

 private:
  int64_t offset_ = 0;
};

template <class T>
Pack<std::remove_const_t<T>> load16(Shared<T> from, emulate::Line line = emulate::Line::current()) {
  emulate::require(from.pointer(), from.bytes(), 16, 16, "load16", line);
  Pack<std::remove_const_t<T>> p;
  std::memcpy(&p, from.pointer(), 16);
  return p;
}
template <class T>
void store16(Shared<T> to, const Pack<T>& value, emulate::Line line = emulate::Line::current()) {
  emulate::require(to.pointer(), to.bytes(), 16, 16, "store16", line);
  emulate::written(to.pointer(), 16);
  std::memcpy(to.pointer(), &value, 16);
}

inline void barrier_sync(int id, int threads, emulate::Line line = emulate::Line::current()) {
  emulate::block_barrier("barrier_sync", id, threads, 0, true, line);
}
inline void barrier_arrive(int id, int threads, emulate::Line line = emulate::Line::current()) {
  emulate::block_barrier("barrier_arrive", id, threads, 0, false, line);
}

// ---- instructions; what each does is said in ptx.h
// ----------------------------------------------------------

using Mbarrier = uint64_t;

struct alignas(64) TensorMap {
  unsigned char* data;
  int rank, element_bytes, swizzle;  // swizzle: 16-byte chunks that change places, less one
  int64_t shape[5], stride_bytes[5];
  int box[5], step[5];
};

template <class T, bool Transposed>
struct Operand {
  uint64_t descriptor;
};

namespace emulate {

void ldmatrix(uint32_t* r, const void* row, int matrices, bool transpose, Line line);
void stmatrix(void* row, const uint32_t* r, bool transpose, Line line);
void mma(float* d, const uint32_t* a, const uint32_t* b, bool bfloat, Line line);
void cp_async(void* to, const void* from, int bytes, Line line);
void cp_async_commit();
void cp_async_wait(int groups);
void proxy_fence(Line line);
void mbarrier_init(void* b, int count, Line line);
void mbarrier_arrive(void* b, int bytes, Line line);
void mbarrier_wait(void* b, int parity, Line line);
void tma_load(void* to, int64_t has, const TensorMap& map, void* b, uint16_t blocks, const int* at, int rank,
              Line line);
void tma_store(const TensorMap& map, const void* from, int64_t has, const int* at, int rank, Line line);
void tma_store_commit();
void tma_store_wait(int groups);
int cluster_rank();
uint64_t operand(const void* tile, int64_t has, int64_t skip, int next_bytes, Line line);
struct Wgmma {
  float* d;
  int size;
  const uint32_t* a;  // null: in shared memory
  uint64_t a_descriptor, b_descriptor;
  bool a_transposed, b_transposed, bfloat, accumulate;
};
void wgmma(Wgmma mine, Line line);
void wgmma_fence(Line line);
void wgmma_commit(Line line);
void wgmma_wait(int groups, Line line);
void setmaxnreg(int registers, Line line);

}  // namespace emulate

#define WHERE emulate::Line line = emulate::Line::current()

template <class T>
void ldmatrix_x4(uint32_t (&r)[4], Shared<T> row, WHERE) {
  emulate::require(row.pointer(), row.bytes(), 16, 16, "ldmatrix_x4", line);
  emulate::ldmatrix(r, row.pointer(), 4, false, line);
}
template <class T>
void ldmatrix_x4_trans(uint32_t (&r)[4], Shared<T> row, WHERE) {
  emulate::require(row.pointer(), row.bytes(), 16, 16, "ldmatrix_x4_trans", line);
  emulate::ldmatrix(r, row.pointer(), 4, true, line);
}
template <class T>
void ldmatrix_x2(uint32_t (&r)[2], Shared<T> row, WHERE) {
  emulate::require(row.pointer(), row.bytes(), 16, 16, "ldmatrix_x2", line);
  emulate::ldmatrix(r, row.pointer(), 2, false, line);
}
template <class T>
void ldmatrix_x2_trans(uint32_t (&r)[2], Shared<T> row, WHERE) {
  emulate::require(row.pointer(), row.bytes(), 16, 16, "ldmatrix_x2_trans", line);
  emulate::ldmatrix(r, row.pointer(), 2, true, line);
}
template <class T>
void stmatrix_x4(Shared<T> row, const uint32_t (&r)[4], WHERE) {
  emulate::require(row.pointer(), row.bytes(), 16, 16, "stmatrix_x4", line);
  emulate::stmatrix(row.pointer(), r, false, line);
}
template <class T>
void stmatrix_x4_trans(Shared<T> row, const uint32_t (&r)[4], WHERE) {
  emulate::require(row.pointer(), row.bytes(), 16, 16, "stmatrix_x4_trans", line);
  emulate::stmatrix(row.pointer(), r, true, line);
}
template <class T>
void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], WHERE) {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, f16>);
  emulate::mma(d, a, b, std::is_same_v<T, bf16>, line);
}
template <class T>
void cp_async(Shared<T> to, const T* from, int bytes = 16, WHERE) {
  emulate::require(to.pointer(), to.bytes(), 16, 16, "cp_async", line);
  emulate::cp_async(to.pointer(), from, bytes, line);
}
inline void cp_async_commit() { emulate::cp_async_commit(); }
template <int Groups>
void cp_async_wait() {
  emulate::cp_async_wait(Groups);
}
inline bool elect_one(WHERE) {
  emulate::warp_meet(
      "elect_one", 0xffffffffu, &line, [](void* const*) {}, line);
  return emulate::lane() == 0;
}
template <int Registers>
void setmaxnreg_increase(WHERE) {
  emulate::setmaxnreg(Registers, line);
}
template <int Registers>
void setmaxnreg_decrease(WHERE) {
  emulate::setmaxnreg(Registers, line);
}
inline void fence_proxy_async(WHERE) { emulate::proxy_fence(line); }
inline void fence_mbarrier_init(WHERE) { emulate::proxy_fence(line); }

inline void mbarrier_init(Shared<Mbarrier> b, int count, WHERE) {
  emulate::require(b.pointer(), b.bytes(), 8, 8, "mbarrier_init", line);
  emulate::mbarrier_init(b.pointer(), count, line);
}
inline void mbarrier_arrive(Shared<Mbarrier> b, WHERE) {
  emulate::require(b.pointer(), b.bytes(), 8, 8, "mbarrier_arrive", line);
  emulate::mbarrier_arrive(b.pointer(), 0, line);
}
inline void mbarrier_arrive_expect_tx(Shared<Mbarrier> b, int bytes, WHERE) {
  emulate::require(b.pointer(), b.bytes(), 8, 8, "mbarrier_arrive_expect_tx", line);
  emulate::mbarrier_arrive(b.pointer(), bytes, line);
}
inline void mbarrier_arrive_cluster(Shared<Mbarrier> b, int rank, WHERE) {
  emulate::require(b.pointer(), b.bytes(), 8, 8, "mbarrier_arrive_cluster", line);
  emulate::mbarrier_arrive(emulate::in_block(b.pointer(), rank, line), 0, line);
}
inline void mbarrier_wait(Shared<Mbarrier> b, int parity, WHERE) {
  emulate::require(b.pointer(), b.bytes(), 8, 8, "mbarrier_wait", line);
  emulate::mbarrier_wait(b.pointer(), parity, line);
}
inline bool mbarrier_try_wait(Shared<Mbarrier> b, int parity, WHERE) {  // here it always waits to the end
  mbarrier_wait(b, parity, line);
  return true;
}

// The line comes after the coordinates, which are of any number: with the map, which every copy has.
struct MapHere {
  const TensorMap& map;
  emulate::Line line;
  MapHere(const TensorMap& map, emulate::Line line = emulate::Line::current()) : map(map), line(line) {}
};
inline void prefetch_tensor_map(const TensorMap&) {}
template <class T, class... C>
void tma_load(Shared<T> to, MapHere from, Shared<Mbarrier> b, C... at) {
  const int c[] = {int(at)...};
  emulate::require(b.pointer(), b.bytes(), 8, 8, "tma_load", from.line);
  emulate::tma_load(to.pointer(), to.bytes(), from.map, b.pointer(), 0, c, sizeof...(C), from.line);
}
template <class T, class... C>
void tma_load_multicast(Shared<T> to, MapHere from, Shared<Mbarrier> b, uint16_t blocks, C... at) {
  const int c[] = {int(at)...};
  emulate::require(b.pointer(), b.bytes(), 8, 8, "tma_load_multicast", from.line);
  emulate::tma_load(to.pointer(), to.bytes(), from.map, b.pointer(), blocks, c, sizeof...(C), from.line);
}
template <class T, class... C>
void tma_store(MapHere to, Shared<T> from, C... at) {
  const int c[] = {int(at)...};
  emulate::tma_store(to.map, from.pointer(), from.bytes(), c, sizeof...(C), to.line);
}
inline void tma_store_commit() { emulate::tma_store_commit(); }
template <int Groups>
void tma_store_wait() {
  emulate::tma_store_wait(Groups);
}

inline int cluster_rank() { return emulate::cluster_rank(); }
inline void cluster_sync(WHERE) { emulate::cluster_barrier(line); }
template <class T>
Shared<T> in_cluster(Shared<T> mine, int rank, WHERE) {
  return Shared<T>(static_cast<T*>(emulate::in_block(mine.pointer(), rank, line)),
                   mine.bytes() / int64_t(sizeof(T)));
}

template <class T>
auto operand_k_major(Shared<T> tile, int k, WHERE) {
  return Operand<std::remove_const_t<T>, false>{
      emulate::operand(tile.pointer(), tile.bytes(), int64_t(k) * 2, 16, line)};
}
template <class T>
auto operand_mn_major(Shared<T> tile, int k, int next, WHERE) {
  return Operand<std::remove_const_t<T>, true>{
      emulate::operand(tile.pointer(), tile.bytes(), int64_t(k) * 128, next * 2, line)};
}
inline void wgmma_fence(WHERE) { emulate::wgmma_fence(line); }
template <class D>
void wgmma_fence(D&, WHERE) {
  emulate::wgmma_fence(line);
}
template <class D, class E>
void wgmma_fence(D&, E&, WHERE) {
  emulate::wgmma_fence(line);
}
inline void wgmma_commit(WHERE) { emulate::wgmma_commit(line); }
template <int Groups>
void wgmma_wait(WHERE) {
  emulate::wgmma_wait(Groups, line);
}
template <int Groups, class D>
void wgmma_wait(D&, WHERE) {
  emulate::wgmma_wait(Groups, line);
}
template <int Groups, class D, class E>
void wgmma_wait(D&, E&, WHERE) {
  emulate::wgmma_wait(Groups, line);
}
template <class T, bool TransposedA, bool TransposedB, int Size>
void wgmma_m64k16(float (&d)[Size], Operand<T, TransposedA> a, Operand<T, TransposedB> b, bool accumulate,
                  WHERE) {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, f16>);
  emulate::wgmma({d, Size, nullptr, a.descriptor, b.descriptor, TransposedA, TransposedB,
                  std::is_same_v<T, bf16>, accumulate},
                 line);
}
template <class T, bool TransposedB, int Size>
void wgmma_m64k16(float (&d)[Size], const uint32_t (&a)[4], Operand<T, TransposedB> b, bool accumulate,
                  WHERE) {
  static_assert(std::is_same_v<T, bf16> || std::is_same_v<T, f16>);
  emulate::wgmma({d, Size, a, 0, b.descriptor, false, TransposedB, std::is_same_v<T, bf16>, accumulate},
                 line);
}
#undef WHERE
#endif  // DAE_EMULATE
