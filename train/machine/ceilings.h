// The machine's ceilings, measured by loops of our own, and the time that a function takes on it.
#pragma once
#include <cstdint>
#include <functional>

namespace dae {

inline constexpr double kFootprint = 64e6;  // bytes; more than the caches hold, so that memory is measured

struct Timing {
  double median = 0, low = 0, high = 0;  // seconds; low and high are the quartiles
  int runs = 0;
};
// Return the times of repeated runs: two warm-up runs, then runs for `seconds`, at least five. `turn` counts
// all runs from 0. In repeat() take(turn) returns the seconds of its run; time_runs() measures run(turn) by
// the host's clock.
Timing repeat(const std::function<double(int64_t turn)>& take, double seconds);
Timing time_runs(const std::function<void(int64_t turn)>& run, double seconds);

// Upper limits that work is compared with, measured by our own loops and kernels.
struct Ceiling {
  int threads = 0;     // threads of the CPU; 0: a GPU
  double flops = 0;    // FLOP/s in f32. CPU: independent fused multiply-adds; GPU: the fastest matmul
  double flops16 = 0;  // GPU: FLOP/s of the fastest matmul in bf16, on tensor cores
  double bytes = 0;    // bytes read and written per second. CPU: y = x or y = y / 2 + x; GPU: a copy
};
Ceiling measure_ceiling(int threads);  // returns the ceiling of the CPU with that many threads

}  // namespace dae
