// Loops of the Cpu half, cut by size and never by the number of threads.
#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/host_device.h"

// Calls f(begin, end) over [0, n) in chunks of `grain`. The chunks depend on n and grain, never on the number
// of threads, so whatever f computes per chunk has the same bits for any thread count. f must not throw.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
  const int64_t chunks = ceil_div(n, grain);
  if (chunks <= 1) {
    if (n > 0) f(int64_t{0}, n);
    return;
  }
#pragma omp parallel for schedule(dynamic)
  for (int64_t c = 0; c < chunks; ++c) f(c * grain, std::min(n, (c + 1) * grain));
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
