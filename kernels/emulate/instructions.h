// The instructions of the emulated device, with the names of kernels/device/intrinsics.cuh, which describes each of them.
// Here they check their arguments and call the implementation in namespace emulate. Part of
// kernels/emulate/emulate.h.
#pragma once

#include "kernels/emulate/shared.h"

namespace dae {

using Mbarrier = uint64_t;

struct alignas(64) TensorMap {
  unsigned char* data;
  int rank, element_bytes, swizzle;  // swizzle: the number of 16-byte chunks that it permutes, minus one
  int64_t shape[5], stride_bytes[5];
  int box[5], step[5];
};

template <class T, bool Transposed>
struct Operand {
  uint64_t descriptor;
};

namespace emulate {

// The implementations. `has` is the number of bytes from a pointer to the end of its view; `line` is the line
// of the call. `blocks` of tma_load is the mask of a multicast, or 0 for this block only.
void ldmatrix(uint32_t* r, const void* row, int matrices, bool transpose, Line line);
void stmatrix(void* row, const uint32_t* r, bool transpose, Line line);
void mma(float* d, const uint32_t* a, const uint32_t* b, bool bfloat, Line line);
void cp_async(void* to, const void* from, int bytes, Line line);
void cp_async_commit();
void cp_async_wait(int groups);
void proxy_fence();
void mbarrier_init_fence();
void mbarrier_init(void* b, int count, Line line);
void mbarrier_arrive(void* b, int bytes, Line line);
void mbarrier_wait(void* b, int parity, Line line);
bool mbarrier_try_wait(void* b, int parity, Line line);
bool elect_one(Line line);
void tma_load(void* to, int64_t has, const TensorMap& map, void* b, uint16_t blocks, const int* at, int rank,
              Line line);
void tma_store(const TensorMap& map, const void* from, int64_t has, const int* at, int rank, Line line);
void tma_store_commit();
void tma_store_wait(int groups, bool read);
int cluster_rank();
uint64_t operand(const void* tile, int64_t has, int64_t skip, int next_bytes, Line line);
struct Wgmma {  // the operands of one lane
  float* d;
  int size;
  const uint32_t* a;  // null if a lies in shared memory
  uint64_t a_descriptor, b_descriptor;
  bool a_transposed, b_transposed, bfloat, accumulate;
};
void wgmma(Wgmma mine, Line line);
void wgmma_fence(Line line);
void wgmma_commit(Line line);
void wgmma_wait(int groups, Line line);
void setmaxnreg(int registers, bool increase, Line line);

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
inline bool elect_one(WHERE) { return emulate::elect_one(line); }
template <int Registers>
void setmaxnreg_increase(WHERE) {
  emulate::setmaxnreg(Registers, true, line);
}
template <int Registers>
void setmaxnreg_decrease(WHERE) {
  emulate::setmaxnreg(Registers, false, line);
}
inline void fence_proxy_async() { emulate::proxy_fence(); }
inline void fence_mbarrier_init() { emulate::mbarrier_init_fence(); }

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
inline bool mbarrier_try_wait(Shared<Mbarrier> b, int parity, WHERE) {
  emulate::require(b.pointer(), b.bytes(), 8, 8, "mbarrier_try_wait", line);
  return emulate::mbarrier_try_wait(b.pointer(), parity, line);
}

// A tensor map and the line of the call. A line as the last argument is not possible, because the number of
// coordinates varies; every copy has a map.
struct MapHere {
  const TensorMap& map;
  emulate::Line line;
  MapHere(const TensorMap& map, emulate::Line line = emulate::Line::current()) : map(map), line(line) {}
};
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
void tma_store_wait_read() {
  emulate::tma_store_wait(Groups, true);
}
template <int Groups>
void tma_store_wait() {
  emulate::tma_store_wait(Groups, false);
}

inline int cluster_rank() { return emulate::cluster_rank(); }
inline void cluster_sync(WHERE) { emulate::cluster_barrier(line); }
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

}  // namespace dae
