// Column sums over many rows in a fixed order: the pattern of bias gradients and batch statistics.
#pragma once
#include <vector>

#include "kernels/device.h"

// totals[j] = sum over rows of what f(row, sums) adds to sums[0 .. width). Blocks of rows depend on the shape
// alone and are added in order.
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
