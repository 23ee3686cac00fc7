// Loops of the Cpu half, cut by size and never by the number of threads.
#pragma once
#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "kernels/host_device.h"

// The number of threads that loops use, the calling one among them: OMP_NUM_THREADS where it is set, else
// the processors that this process may run on.
int thread_count();
void set_thread_count(int count);  // From the next loop on. Called by one thread, outside of any loop.

// Calls call(f, chunk) for every chunk of [0, chunks), on the calling thread and on the pool's. Returns when
// all are done. A loop within a loop runs on the thread that meets it, and so does one that another thread
// begins while the pool is taken. If calls throw, no further chunks begin and the exception of the lowest
// chunk is thrown here.
void run_chunks(int64_t chunks, void (*call)(void* f, int64_t chunk), void* f);

// Calls f(begin, end) over [0, n) in chunks of `grain`. The chunks depend on n and grain, never on the number
// of threads, so whatever f computes per chunk has the same bits for any thread count.
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

// Elements one thread should take at least for loops that only stream memory.
inline constexpr int64_t kStreamGrain = 16384;

// f(i) for every i of [0, n), vectorised. The copy on the stack tells the compiler that what f writes does
// not change what it captured.
template <class F>
void each_element(int64_t n, const F& f) {
  parallel_for(n, kStreamGrain, [&](int64_t begin, int64_t end) {
    const F local = f;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) local(i);
  });
}

// Sum of f(begin, end) over fixed chunks of [0, n), added in order: deterministic for any thread count. 256
// chunks at most, so that the partial sums fit on the stack.
template <class F>
double ordered_sum(int64_t n, F&& f) {
  const int64_t grain = std::max<int64_t>(4096, (n + 255) / 256);
  double partial[256] = {};
  parallel_for(n, grain, [&](int64_t begin, int64_t end) { partial[begin / grain] = f(begin, end); });
  double total = 0;
  for (int64_t c = 0; c * grain < n; ++c) total += partial[c];
  return total;
}

// y[i] = the sum over parts of partial[part * n + i], added in order.
template <class T>
void add_in_order(T* y, const T* partial, int64_t n, int64_t parts) {
  each_element(n, [=](int64_t i) {
    T total = partial[i];
    for (int64_t part = 1; part < parts; ++part) total += partial[part * n + i];
    y[i] = total;
  });
}
