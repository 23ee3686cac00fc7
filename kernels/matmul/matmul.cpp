#include "kernels/matmul/matmul.h"

#include <algorithm>

#include "kernels/matmul/gemm.h"
#include "kernels/parallel.h"

namespace {

// Blocks of y that become tasks: halved until there are enough of them or they are small, by shape alone.
struct Blocks {
  Blocks(int64_t batch, int64_t m, int64_t n, int64_t k) : rows(m), columns(n) {
    constexpr int64_t kTasks = 32, kMultiplies = 1 << 21, kSide = 48;
    auto tasks = [&] { return batch * count(m, rows) * count(n, columns); };
    while (tasks() < kTasks && rows * columns * k > kMultiplies && std::max(rows, columns) > kSide) {
      int64_t& side = rows > columns ? rows : columns;
      side = (side / 2 + kSide - 1) / kSide * kSide;
    }
    down = count(m, rows), across = count(n, columns);
  }
  static int64_t count(int64_t n, int64_t block) { return (n + block - 1) / block; }
  int64_t rows, columns, down = 0, across = 0;
};

template <class T>
void multiply(T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k, bool transpose_a,
              bool transpose_b, double beta) {
  if (batch == 0 || m == 0 || n == 0) return;
  const Blocks blocks(batch, m, n, k);
  const int64_t lda = transpose_a ? m : k, ldb = transpose_b ? k : n;
  parallel_for(batch * blocks.down * blocks.across, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / blocks.across % blocks.down * blocks.rows;
      const int64_t j = task % blocks.across * blocks.columns, item = task / (blocks.down * blocks.across);
      gemm(y + (item * m + i) * n + j, n, a + item * m * k + (transpose_a ? i : i * k), lda,
           b + item * k * n + (transpose_b ? j * k : j), ldb, std::min(blocks.rows, m - i),
           std::min(blocks.columns, n - j), k, transpose_a, transpose_b, beta);
    }
  });
}

}  // namespace

template <class T>
void matmul(Cpu, T* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta) {
  multiply(y, a, b, 1, m, n, k, transpose_a, transpose_b, beta);
}

template <class T>
void batched_matmul(Cpu, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b) {
  multiply(y, a, b, batch, m, n, k, transpose_a, transpose_b, 0);
}

#define INSTANTIATE(T)                                                                              \
  template void matmul(Cpu, T*, const T*, const T*, int64_t, int64_t, int64_t, bool, bool, double); \
  template void batched_matmul(Cpu, T*, const T*, const T*, int64_t, int64_t, int64_t, int64_t, bool, bool);
INSTANTIATE(float)
INSTANTIATE(double)
