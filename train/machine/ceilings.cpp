#include "train/machine/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "kernels/cpu/parallel.h"
#include "kernels/matmul/simd_tile.h"

namespace dae {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Runs sixteen independent chains of fused multiply-adds in registers. The result depends on all of them, so
// that the compiler keeps them.
float multiply_adds(int64_t rounds) {
  using V = Vector<float>;
  constexpr int kChains = 16;
  V sum[kChains], factor = V{} + 0.999f, term = V{} + 1e-3f;
  for (int i = 0; i < kChains; ++i) sum[i] = V{} + float(i);
  for (int64_t r = 0; r < rounds; ++r)
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) sum[i] = multiply_add_vector(sum[i], factor, term);
  V total = sum[0];
  for (int i = 1; i < kChains; ++i) total += sum[i];
  return total[0];
}

}  // namespace

Timing repeat(const std::function<double(int64_t)>& take, double seconds) {
  constexpr int kWarmUp = 2, kLeast = 5;
  int64_t turn = 0;
  while (turn < kWarmUp) take(turn++);
  std::vector<double> taken;
  const double start = now();
  while (int(taken.size()) < kLeast || now() - start < seconds) taken.push_back(take(turn++));
  std::sort(taken.begin(), taken.end());
  const size_t n = taken.size();
  return {taken[n / 2], taken[n / 4], taken[n - 1 - n / 4], int(n)};
}

Timing time_runs(const std::function<void(int64_t)>& run, double seconds) {
  return repeat(
      [&](int64_t turn) {
        const double before = now();
        run(turn);
        return now() - before;
      },
      seconds);
}

Ceiling measure_ceiling(int threads) {
  constexpr int64_t kRounds = 1 << 14, kChunks = 128, kFloats = int64_t(kFootprint) / (2 * sizeof(float));
  const int before = thread_count();
  set_thread_count(threads);
  std::vector<float> sink(kChunks);
  const Timing adds = time_runs(
      [&](int64_t) {
        parallel_for(kChunks, 1, [&](int64_t c, int64_t) { sink[size_t(c)] = multiply_adds(kRounds); });
      },
      0.3);
  const std::unique_ptr<float[]> from(new float[kFloats]), to(new float[kFloats]);
  float *const y = to.get(), *const x = from.get();
  const auto by_part = [](auto f) { parallel_for(kFloats, int64_t{1} << 18, f); };
  by_part([=](int64_t a, int64_t b) {
    std::fill(x + a, x + b, 1.5f);
    std::fill(y + a, y + b, 0.5f);
  });
  const Timing copy = time_runs(
      [&](int64_t) {
        by_part([=](int64_t a, int64_t b) { std::memcpy(y + a, x + a, size_t(b - a) * sizeof(float)); });
      },
      0.5);
  // A write to a line that was just read needs no extra fetch, so this can be faster than the copy.
  const Timing update = time_runs(
      [&](int64_t) {
        by_part([=](int64_t a, int64_t b) {
#pragma omp simd
          for (int64_t i = a; i < b; ++i) y[i] = 0.5f * y[i] + x[i];
        });
      },
      0.5);
  set_thread_count(before);
  const double lanes = sizeof(Vector<float>) / sizeof(float), bytes = double(kFloats) * sizeof(float);
  return {threads, double(kChunks) * double(kRounds) * 16 * 2 * lanes / adds.median, 0,
          std::max(2 * bytes / copy.median, 3 * bytes / update.median)};
}

}  // namespace dae
