#include "train/machine.h"

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>

#include "kernels/matmul/tile.h"

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Sixteen independent chains of fused multiply-adds in registers; returns something that depends on all.
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
  constexpr int64_t kRounds = 1 << 20, kFloats = int64_t(kFootprint) / (2 * sizeof(float));
  volatile float sink = 0;
  const Timing adds = time_runs(
      [&](int64_t) {
#pragma omp parallel num_threads(threads)
        {
          const float result = multiply_adds(kRounds);
#pragma omp critical
          sink = sink + result;
        }
      },
      0.3);
  const std::unique_ptr<float[]> from(new float[kFloats]), to(new float[kFloats]);
  const auto share = [&](auto f) {
#pragma omp parallel num_threads(threads)
    {
      const int64_t id = omp_get_thread_num(), count = omp_get_num_threads();
      f(kFloats * id / count, kFloats * (id + 1) / count);
    }
  };
  share([&](int64_t a, int64_t b) {
    std::fill(from.get() + a, from.get() + b, 1.5f);
    std::fill(to.get() + a, to.get() + b, 0.5f);
  });
  const Timing copy = time_runs(
      [&](int64_t) {
        share([&](int64_t a, int64_t b) {
          std::memcpy(to.get() + a, from.get() + a, size_t(b - a) * sizeof(float));
        });
      },
      0.5);
  // Writing where one has read costs no extra fetch of the line, so this can be faster than the copy.
  const Timing update = time_runs(
      [&](int64_t) {
        share([&, y = to.get(), x = from.get()](int64_t a, int64_t b) {
#pragma omp simd
          for (int64_t i = a; i < b; ++i) y[i] = 0.5f * y[i] + x[i];
        });
      },
      0.5);
  const double lanes = sizeof(Vector<float>) / sizeof(float), bytes = double(kFloats) * sizeof(float);
  return {threads, threads * double(kRounds) * 16 * 2 * lanes / adds.median, 0,
          std::max(2 * bytes / copy.median, 3 * bytes / update.median)};
}
