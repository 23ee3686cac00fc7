#include "kernels/matmul/matmul.h"

#include <algorithm>

#include "kernels/activation/formulas.h"
#include "kernels/cpu/ordered_sums.h"
#include "kernels/matmul/gemm.h"

namespace dae {

namespace {

// The blocks of y that become tasks. A block is halved until there are enough tasks or it is small; only the
// shape decides.
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

// Multiplies by blocks of y, and calls finish(row, column, rows, columns) after each block.
template <class T, class F>
void multiply(T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k, bool transpose_a,
              bool transpose_b, double beta, F finish) {
  if (batch == 0 || m == 0 || n == 0) return;
  const Blocks blocks(batch, m, n, k);
  const int64_t lda = transpose_a ? m : k, ldb = transpose_b ? k : n;
  parallel_for(batch * blocks.down * blocks.across, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / blocks.across % blocks.down * blocks.rows;
      const int64_t j = task % blocks.across * blocks.columns, item = task / (blocks.down * blocks.across);
      const int64_t rows = std::min(blocks.rows, m - i), columns = std::min(blocks.columns, n - j);
      gemm(y + (item * m + i) * n + j, n, a + item * m * k + (transpose_a ? i : i * k), lda,
           b + item * k * n + (transpose_b ? j * k : j), ldb, rows, columns, k, transpose_a, transpose_b,
           beta);
      finish(i, j, rows, columns);
    }
  });
}
constexpr auto kAsItIs = [](int64_t, int64_t, int64_t, int64_t) {};

}  // namespace

template <class T>
void matmul(Cpu, T* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta) {
  multiply(y, a, b, 1, m, n, k, transpose_a, transpose_b, beta, kAsItIs);
}

template <class T>
void batched_matmul(Cpu, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b) {
  multiply(y, a, b, batch, m, n, k, transpose_a, transpose_b, 0, kAsItIs);
}

// The task that makes a block also finishes it, while the block is in its cache.
template <class T>
void linear_forward(Cpu, T* y, const T* x, const T* w, int64_t rows, int64_t out, int64_t in,
                    const Epilogue<T>& e) {
  with_act(e.act, [&]<Act act>() {
    multiply(y, x, w, 1, rows, out, in, false, true, 0,
             [&](int64_t first, int64_t column, int64_t block_rows, int64_t width) {
               for (int64_t r = first; r < first + block_rows; ++r) {
                 const int64_t at = r * out + column;
                 T* u = y + at;
                 if (e.bias)
#pragma omp simd
                   for (int64_t c = 0; c < width; ++c) u[c] += e.bias[column + c];
                 if (e.argument) std::copy_n(u, width, e.argument + at);
                 if (act != Act::none)
#pragma omp simd
                   for (int64_t c = 0; c < width; ++c) u[c] = activate<act>(u[c]);
                 if (e.gate) {
                   const T* gate = e.gate + r / e.positions * out + column;
#pragma omp simd
                   for (int64_t c = 0; c < width; ++c) u[c] *= gate[c];
                 }
                 if (e.residual)
#pragma omp simd
                   for (int64_t c = 0; c < width; ++c) u[c] += e.residual[at + c];
               }
             });
  });
}

template <class T>
void linear_act_backward(Cpu, T* du, T* dbias, const T* dy, const T* kept, int64_t rows, int64_t out,
                         Act act) {
  with_act(act, [&]<Act a>() {
    const auto sums = column_sums(rows, out, [=](int64_t r, double* s) {
#pragma omp simd
      for (int64_t c = 0; c < out; ++c) {
        const T g = dy[r * out + c] * slope_at<a>(kept[r * out + c]);
        du[r * out + c] = g;
        s[c] += double(g);
      }
    });
    for (int64_t c = 0; c < out && dbias; ++c) dbias[c] = T(sums[size_t(c)]);
  });
}

#define INSTANTIATE(T)                                                                                       \
  template void matmul(Cpu, T*, const T*, const T*, int64_t, int64_t, int64_t, bool, bool, double);          \
  template void batched_matmul(Cpu, T*, const T*, const T*, int64_t, int64_t, int64_t, int64_t, bool, bool); \
  template void linear_forward(Cpu, T*, const T*, const T*, int64_t, int64_t, int64_t, const Epilogue<T>&);  \
  template void linear_act_backward(Cpu, T*, T*, const T*, const T*, int64_t, int64_t, Act);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
