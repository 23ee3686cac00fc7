// Sums in a fixed order for CPU kernels: along a row, and over the rows of a matrix for each column, as in
// bias gradients and batch statistics.
#pragma once
#include <vector>

#include "kernels/cpu/parallel.h"

namespace dae {

// Two values that one pass sums together.
template <class V>
struct Pair {
  V a, b;
};

// Returns the sum of f(i) over [begin, end). It adds in 16 lanes, so that it vectorises with the same bits on
// every machine.
template <class F>
double lane_sum(int64_t begin, int64_t end, F f) {
  if (end - begin < 16) {
    double s = 0;
    for (int64_t i = begin; i < end; ++i) s += double(f(i));
    return s;
  }
  double lane[16] = {};
  int64_t i = begin;
  for (; i + 16 <= end; i += 16)
#pragma omp simd
    for (int64_t j = 0; j < 16; ++j) lane[j] += double(f(i + j));
  for (int64_t j = 0; i < end; ++i, ++j) lane[j] += double(f(i));
  for (int width = 8; width > 0; width /= 2)
    for (int j = 0; j < width; ++j) lane[j] += lane[j + width];
  return lane[0];
}

// Returns the largest of x[0 .. n), n > 0, in 16 lanes, so that it vectorises. If x[0] is NaN, so is the
// result; NaN in other elements is ignored.
template <class T>
T lane_max(const T* x, int64_t n) {
  T lane[16];
  std::fill_n(lane, 16, x[0]);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16)
#pragma omp simd
    for (int64_t j = 0; j < 16; ++j) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
  for (; i < n; ++i) lane[0] = x[i] > lane[0] ? x[i] : lane[0];
  for (int j = 1; j < 16; ++j) lane[0] = lane[j] > lane[0] ? lane[j] : lane[0];
  return lane[0];
}

// Returns `width` totals: f(row, sums) adds the terms of one row to sums[0 .. width), and total j is the sum
// over all rows. The blocks of rows depend on the shape only, and their sums are added in order.
template <class F>
std::vector<double> column_sums(int64_t rows, int64_t width, F f) {
  const int64_t block = std::max<int64_t>(16, (rows + 63) / 64), blocks = (rows + block - 1) / block;
  std::vector<double> partial(size_t(blocks * width), 0.0), total(size_t(width), 0.0);
  parallel_for(rows, block, [&](int64_t begin, int64_t end) {
    double* sums = partial.data() + begin / block * width;
    for (int64_t r = begin; r < end; ++r) f(r, sums);
  });
  for (int64_t b = 0; b < blocks; ++b)
    for (int64_t j = 0; j < width; ++j) total[size_t(j)] += partial[size_t(b * width + j)];
  return total;
}

}  // namespace dae
