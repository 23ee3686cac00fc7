// What the machine can do at best, by loops of ours, and how long something takes on it.
#pragma once
#include <cstdint>
#include <functional>

inline constexpr double kFootprint = 64e6;  // bytes: more than caches hold, so that memory is measured

struct Timing {
  double median = 0, low = 0, high = 0;  // seconds; low and high: quartiles
  int runs = 0;
};
// At least two runs to warm up, then for `seconds`, at least five times; turns count from 0. repeat:
// take(turn) says the seconds of a run; time_runs: by the processor's clock.
Timing repeat(const std::function<double(int64_t turn)>& take, double seconds);
Timing time_runs(const std::function<void(int64_t turn)>& run, double seconds);

// What a time may be divided by, measured by our own loops and kernels.
struct Ceiling {
  int threads = 0;     // of the processor; 0: a GPU
  double flops = 0;    // FLOP/s in f32. CPU: multiply-adds that wait for nothing; GPU: the fastest matmul
  double flops16 = 0;  // GPU: the same in bf16, on tensor cores
  double bytes = 0;    // read and written a second; CPU: by y = x or y = y / 2 + x; GPU: by a copy
};
Ceiling measure_ceiling(int threads);  // of the processor
