// The part of CUDA C++ that kernels use, for the emulated device: keywords, barriers, shuffles, atomics and
// mathematical functions. Part of kernels/emulate/emulate.h.
#pragma once

namespace dae {

// Kernels have internal linkage, because the linker could not merge kernels of two files whose launch bounds
// are encoded as below.
#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __grid_constant__
// The launch bounds of a function cannot be read at run time. So the function begins with one no-operation
// instruction for each warp of its bounds, and a launch counts them (rules.cpp).
#ifdef __x86_64__
#define __launch_bounds__(threads, ...) __attribute__((patchable_function_entry(((threads) + 31) / 32)))
#else
#define __launch_bounds__(...)
#endif
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
// The last argument of emulated functions is the line of the call. A kernel's own device functions may take
// the line with WITH_LINE and pass it on with PASS_LINE or LINE.
#define WITH_LINE , emulate::Line line = emulate::Line::current()
#define PASS_LINE , line
#define LINE line

struct Place {  // the indices of the running thread; also useful in a debugger's conditions
  dim3 thread, block, block_size, grid_size;
};
extern constinit thread_local const Place* place;  // null outside kernels

// The properties of a launch that its checks need.
struct Launch {
  const char* name;
  const void* kernel;
  size_t argument_bytes = 0;
  int device = 0;
};
// Runs all blocks of a launch; kernel() is the body of one thread. `cluster` is the number of blocks of a
// cluster.
void run(const Launch& launch, const dim3& grid, unsigned cluster, const dim3& block, size_t shared_bytes,
         const std::function<void()>& kernel);

// Returns the size of a kernel's arguments, where each is aligned.
template <class... P>
constexpr size_t argument_bytes() {
  size_t end = 0;
  ((end = (end + alignof(P) - 1) / alignof(P) * alignof(P) + sizeof(P)), ...);
  return end;
}

// Shared memory of the running block.
//   dynamic_shared   returns bytes [begin, begin + bytes) of the dynamic part
//   static_shared    returns the static array with the identity `name`, allocated at the first call
//   in_block         returns the same address in block `rank` of the cluster
//   accessed         records an access that may be a write; settle() decides
//   written          records a write through the generic proxy
//   was_read         records a read through the generic proxy
//   require          stops unless a view has `needs` bytes and lies on a boundary of `align` bytes
void* dynamic_shared(int64_t begin, int64_t bytes, Line line);
void* static_shared(const void* name, int64_t bytes);
void* in_block(void* mine, int rank, Line line);
void accessed(void* data, int bytes);
void written(void* data, int bytes);
void was_read(const void* data, int bytes);
[[noreturn]] void out_of_range(int64_t index, int64_t size, Line line);
void require(const void* view, int64_t has, int64_t needs, int align, const char* what, Line line);

struct Index {  // an index that records the line of the access
  int64_t value;
  Line line;
  template <std::integral I>
  Index(I value, Line line = Line::current()) : value(int64_t(value)), line(line) {}
};

// Executes a collective instruction of a warp and waits for all lanes of the mask. `mine` points to the
// operands of this lane. The last lane that arrives calls `compute` with the operands of all lanes; they are
// null for lanes that take no part.
using Compute = void (*)(void* const* lanes);
void warp_meet(const char* what, uint32_t mask, void* mine, Compute compute, Line line);
// Arrives at barrier `id` of the block with a vote, and waits for `threads` threads if `wait` is true (id 0
// and threads 0: all threads of the block). Returns the sum of the votes.
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

// Returns the value of lane `source`, or this lane's own value if `source` is not in [0, 32).
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

// These functions are atomic on the CPU too, because clusters run in parallel.
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

}  // namespace dae
