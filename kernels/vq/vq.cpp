#include "kernels/vq/vq.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/ordered_sums.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/matmul/gemm.h"

namespace dae {

namespace {

// A block of scores, kRows by kCodes, stays in the second-level cache.
constexpr int64_t kRows = 128, kCodes = 256;

template <class T>
double square_norm(const T* x, int64_t n) {
  return lane_sum(0, n, [=](int64_t i) { return double(x[i]) * double(x[i]); });
}

// Returns the margin of the scores 2 z e - |e|^2: if two computed scores differ by more, their order agrees
// with that of the distances in f64. The rounding error of a sum of n products is at most n units of the sum
// of their magnitudes, which is at most |z| |e|; a few more units cover the roundings around it.
template <class T>
T margin(double z, double e, int64_t n) {
  const double unit = 0.5 * double(std::numeric_limits<T>::epsilon());
  return T(2 * double(n + 8) * (unit * (2 * z * e + e * e) + 0x1p-53 * (z + e) * (z + e)));
}

template <class T>
double distance(const T* z, const T* e, int64_t channels) {
  double d = 0;
  for (int64_t c = 0; c < channels; ++c) {
    const double v = double(z[c]) - double(e[c]);
    d = std::fma(v, v, d);
  }
  return d;
}

// Collects the codes that may be nearest to one row.
template <class T>
struct Nearest {
  struct Code {
    int64_t code;
    T score;
  };
  T best, margin;
  std::vector<Code> near;  // the codes with a score of at least best - margin

  void start(T m) { best = -std::numeric_limits<T>::infinity(), margin = m, near.clear(); }
  void add(const T* score, int64_t first, int64_t n) {
    const T top = lane_max(score, n);
    if (!(top >= best - margin)) return;
    if (top > best) {
      best = top;
      std::erase_if(near, [&](const Code& c) { return c.score < best - margin; });
    }
    for (int64_t k = 0; k < n; ++k)
      if (score[k] >= best - margin) near.push_back({first + k, score[k]});
  }
};

}  // namespace

template <class T>
void nearest_code(Cpu, int64_t* index, const T* z, const Wide<T>* codebook, int64_t rows, int64_t codes,
                  int64_t channels) {
  thread_local Scratch<T> scratch;
  T* norm = scratch.get(codes);
  double longest = 0;
  for (int64_t k = 0; k < codes; ++k) {
    const double square = square_norm(codebook + k * channels, channels);
    norm[k] = T(square), longest = std::max(longest, std::sqrt(square));
  }
  parallel_for(rows, kRows, [=](int64_t begin, int64_t end) {
    thread_local Scratch<T> block;
    thread_local std::vector<Nearest<T>> nearest(kRows);
    T* score = block.get(kRows * kCodes);
    for (int64_t r = begin; r < end; ++r)
      nearest[r - begin].start(
          margin<T>(std::sqrt(square_norm(z + r * channels, channels)), longest, channels));
    for (int64_t k0 = 0; k0 < codes; k0 += kCodes) {
      const int64_t n = std::min(kCodes, codes - k0);
      gemm(score, kCodes, z + begin * channels, channels, codebook + k0 * channels, channels, end - begin, n,
           channels, false, true);
      for (int64_t r = begin; r < end; ++r) {
        T* row = score + (r - begin) * kCodes;
#pragma omp simd
        for (int64_t k = 0; k < n; ++k) row[k] = 2 * row[k] - norm[k0 + k];
        nearest[r - begin].add(row, k0, n);
      }
    }
    for (int64_t r = begin; r < end; ++r) {
      const auto& near = nearest[r - begin].near;
      index[r] = near.empty() ? 0 : near[0].code;  // empty if all scores are NaN
      if (near.size() < 2) continue;
      double best = std::numeric_limits<double>::infinity();
      for (const auto& [code, unused] : near)
        if (const double d = distance(z + r * channels, codebook + code * channels, channels); d < best)
          best = d, index[r] = code;
    }
  });
}

void code_usage(Cpu, int64_t* count, const int64_t* index, int64_t n, int64_t codes) {
  std::fill_n(count, codes, int64_t{0});
  for (int64_t i = 0; i < n; ++i) ++count[index[i]];
}

#define INSTANTIATE(T) \
  template void nearest_code(Cpu, int64_t*, const T*, const Wide<T>*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
