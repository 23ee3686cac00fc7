// Parallel loops for CPU kernels. Loops are divided into chunks by their size, never by the number of
// threads.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "kernels/device/host_device.h"

namespace dae {

// Returns the number of threads that loops use, the calling thread included. At the start it is
// OMP_NUM_THREADS if that is set, else the number of processors that this process may run on.
int thread_count();
// Sets the number of threads for the following loops. One thread calls it, outside of any loop.
void set_thread_count(int count);

// Calls call(f, chunk) for every chunk of [0, chunks), on the calling thread and on the threads of the pool,
// and returns when all calls are done. A loop runs on the calling thread alone if it is within another loop,
// or if another thread uses the pool. If a call throws, no further chunks begin, and run_chunks throws the
// exception of the lowest chunk that threw.
void run_chunks(int64_t chunks, void (*call)(void* f, int64_t chunk), void* f);

// Calls f(begin, end) for chunks of `grain` elements that cover [0, n). The chunks depend on n and grain, not
// on the number of threads, so that what f computes for a chunk has the same bits for any number of threads.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
  const int64_t chunks = ceil_div(n, grain);
  if (chunks <= 1) {
    if (n > 0) f(int64_t{0}, n);
    return;
  }
  const auto chunk = [&](int64_t c) { f(c * grain, std::min(n, (c + 1) * grain)); };
  using Chunk = std::remove_reference_t<decltype(chunk)>;
  run_chunks(
      chunks, [](void* g, int64_t c) { (*static_cast<Chunk*>(g))(c); },
      const_cast<void*>(static_cast<const void*>(std::addressof(chunk))));
}

// The chunk size of loops that only stream memory, in elements.
inline constexpr int64_t kStreamGrain = 16384;

// Calls f(i) for every i in [0, n), vectorised. The local copy of f tells the compiler that the writes of f
// do not change what f captured.
template <class F>
void each_element(int64_t n, const F& f) {
  parallel_for(n, kStreamGrain, [&](int64_t begin, int64_t end) {
    const F local = f;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) local(i);
  });
}

// Returns the sum of f(begin, end) over fixed chunks of [0, n), added in order, so that the bits are the same
// for any number of threads. There are at most 256 chunks, so that the partial sums fit on the stack.
template <class F>
double ordered_sum(int64_t n, F&& f) {
  const int64_t grain = std::max<int64_t>(4096, (n + 255) / 256);
  double partial[256] = {};
  parallel_for(n, grain, [&](int64_t begin, int64_t end) { partial[begin / grain] = f(begin, end); });
  double total = 0;
  for (int64_t c = 0; c * grain < n; ++c) total += partial[c];
  return total;
}

// Writes y[i] = the sum over parts of partial[part, i], added in order. y is (n), partial is (parts, n).
template <class T>
void add_in_order(T* y, const T* partial, int64_t n, int64_t parts) {
  each_element(n, [=](int64_t i) {
    T total = partial[i];
    for (int64_t part = 1; part < parts; ++part) total += partial[part * n + i];
    y[i] = total;
  });
}

}  // namespace dae
