// Norms of single rows on the CPU: layer norm, which norm.cpp calls, and modulated layer norm. A row stays in
// the first-level cache, so its later passes cost no memory traffic. The same holds for the sums down the
// columns of a block of rows, which the gradients of the weights need.
#include <cmath>
#include <type_traits>
#include <vector>

#include "kernels/cpu/ordered_sums.h"
#include "kernels/matmul/simd_tile.h"
#include "kernels/norm/norm.h"

namespace dae {

namespace {

// Readers at(p) of one element, or of a vector from that element on, so that one formula serves both.
template <class T>
auto one_at(int64_t i) {
  return [i](const T* p) { return p[i]; };
}
template <class T>
auto vector_at(int64_t i) {
  return [i](const T* p) { return load(p + i); };
}

// Returns the sums over [0, n) of the pair f(at). There are 16 lanes; each adds 16 terms in T and these
// partial sums in f64. The order is the same on every machine.
template <class T, class F>
Pair<double> pair_sum(int64_t n, F f) {
  constexpr int64_t kSums = 16, kVectors = kSums / kLanes<T>;
  double a[kSums] = {}, b[kSums] = {};
  int64_t i = 0;
  while (i + kSums <= n) {
    Vector<T> va[kVectors] = {}, vb[kVectors] = {};
    for (const int64_t end = std::min(n - kSums, i + 15 * kSums); i <= end; i += kSums)
#pragma GCC unroll 8
      for (int64_t v = 0; v < kVectors; ++v) {
        const auto [x, y] = f(vector_at<T>(i + v * kLanes<T>));
        va[v] += x, vb[v] += y;
      }
#pragma GCC unroll 8
    for (int64_t v = 0; v < kVectors; ++v)
      for (int64_t lane = 0; lane < kLanes<T>; ++lane) {
        a[v * kLanes<T> + lane] += double(va[v][lane]);
        b[v * kLanes<T> + lane] += double(vb[v][lane]);
      }
  }
  for (int64_t lane = 0; i < n; ++i, ++lane) {
    const auto [x, y] = f(one_at<T>(i));
    a[lane] += double(x), b[lane] += double(y);
  }
  for (int64_t width = kSums / 2; width > 0; width /= 2)
    for (int64_t lane = 0; lane < width; ++lane) a[lane] += a[lane + width], b[lane] += b[lane + width];
  return {a[0], b[0]};
}

// Returns the rows of one task: enough to stream some memory.
int64_t rows_of_task(int64_t channels) { return std::max<int64_t>(1, kStreamGrain / channels); }

// Writes y = (x - mean) rstd factor + term for a row, and its mean and rstd.
template <class T, class Factor, class Term>
void normalise_row(T* y, T* mean, T* rstd, const T* x, int64_t channels, double eps, Factor factor,
                   Term term) {
  const T first = x[0];  // the shift of the sums, so that a large mean costs no precision
  const auto s = pair_sum<T>(channels, [=](auto at) {
    const auto d = at(x) - first;
    return Pair{d, d * d};
  });
  const double m = s.a / double(channels), var = std::max(0.0, s.b / double(channels) - m * m);
  const T mu = *mean = T(double(first) + m), rs = *rstd = T(1 / std::sqrt(var + eps));
#pragma omp simd
  for (int64_t c = 0; c < channels; ++c) {
    const auto at = one_at<T>(c);
    y[c] = (x[c] - mu) * rs * factor(at) + term(at);
  }
}

// Writes dx of a row unless it is null, and adds dy to `one` and dy xhat to `xhat` unless they are null.
template <class T, class Factor>
void row_backward(T* dx, T* one, T* xhat, const T* dy, const T* x, T mean, T rstd, int64_t channels,
                  Factor factor) {
  T m0 = 0, m1 = 0;
  if (dx) {
    const auto s = pair_sum<T>(channels, [=](auto at) {
      const auto g = at(dy) * factor(at);
      return Pair{g, g * ((at(x) - mean) * rstd)};
    });
    m0 = T(s.a / double(channels)), m1 = T(s.b / double(channels));
  }
  const auto pass = [=](auto with_dx, auto with_sums) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const T g = dy[c], normal = (x[c] - mean) * rstd;
      if constexpr (with_dx) dx[c] = rstd * (g * factor(one_at<T>(c)) - m0 - normal * m1);
      if constexpr (with_sums) one[c] += g, xhat[c] += g * normal;
    }
  };
  if (dx && one) pass(std::true_type(), std::true_type());
  else if (dx) pass(std::true_type(), std::false_type());
  else if (one) pass(std::false_type(), std::true_type());
}

// Handles up to 16 rows from `begin` on. part (2, channels), unless null, receives their sums of dy and dy
// xhat.
constexpr int64_t kBlock = 16;
template <class T, class Factor>
void block_backward(T* dx, T* part, const T* dy, const T* x, const T* mean, const T* rstd, int64_t begin,
                    int64_t end, int64_t channels, Factor factor) {
  if (part) std::fill_n(part, 2 * channels, T(0));
  for (int64_t r = begin; r < end; ++r) {
    const int64_t at = r * channels;
    row_backward(dx ? dx + at : nullptr, part, part ? part + channels : nullptr, dy + at, x + at, mean[r],
                 rstd[r], channels, factor);
  }
}

// Writes one and xhat (images, channels), the sums of parts (images, blocks, 2, channels) over the blocks, in
// f64.
template <class T>
void add_parts(T* one, T* xhat, const T* parts, int64_t images, int64_t blocks, int64_t channels) {
  constexpr int64_t kSlice = 64;
  const int64_t slices = ceil_div(channels, kSlice);
  parallel_for(images * slices, std::max<int64_t>(1, kStreamGrain / (blocks * kSlice)),
               [=](int64_t first, int64_t last) {
                 for (int64_t task = first; task < last; ++task) {
                   const int64_t image = task / slices, c0 = task % slices * kSlice;
                   const int64_t width = std::min(kSlice, channels - c0), to = image * channels + c0;
                   double a[kSlice] = {}, b[kSlice] = {};
                   const T* part = parts + image * blocks * 2 * channels + c0;
                   for (int64_t block = 0; block < blocks; ++block, part += 2 * channels)
#pragma omp simd
                     for (int64_t c = 0; c < width; ++c)
                       a[c] += double(part[c]), b[c] += double(part[channels + c]);
                   for (int64_t c = 0; c < width; ++c) one[to + c] = T(a[c]), xhat[to + c] = T(b[c]);
                 }
               });
}

}  // namespace

template <class T>
void layer_norm_forward(Cpu, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, int64_t rows,
                        int64_t channels, double eps) {
  parallel_for(rows, rows_of_task(channels), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto row = [&](auto factor, auto term) {
        normalise_row(y + r * channels, mean + r, rstd + r, x + r * channels, channels, eps, factor, term);
      };
      if (weight) row([=](auto at) { return at(weight); }, [=](auto at) { return at(bias); });
      else row([](auto) { return T(1); }, [](auto) { return T(0); });
    }
  });
}

template <class T>
void layer_norm_backward(Cpu, T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* mean,
                         const T* rstd, const T* weight, int64_t rows, int64_t channels) {
  const int64_t blocks = ceil_div(rows, kBlock);
  std::vector<T> parts(dweight ? size_t(blocks * 2 * channels) : 0);
  parallel_for(rows, kBlock, [&](int64_t begin, int64_t end) {
    T* part = dweight ? parts.data() + begin / kBlock * 2 * channels : nullptr;
    const auto run = [&](auto factor) {
      block_backward(dx, part, dy, x, mean, rstd, begin, end, channels, factor);
    };
    if (weight) run([=](auto at) { return at(weight); });
    else run([](auto) { return T(1); });
  });
  if (dweight) add_parts(dbias, dweight, parts.data(), 1, blocks, channels);
}

template <class T>
void modulated_norm_forward(Cpu, T* y, T* mean, T* rstd, const T* x, const T* shift, const T* scale,
                            NormShape s, double eps) {
  const int64_t channels = s.channels, positions = s.positions;
  parallel_for(s.images * positions, rows_of_task(channels), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T *by = scale + r / positions * channels, *to = shift + r / positions * channels;
      normalise_row(
          y + r * channels, mean + r, rstd + r, x + r * channels, channels, eps,
          [=](auto at) { return 1 + at(by); }, [=](auto at) { return at(to); });
    }
  });
}

template <class T>
void modulated_norm_backward(Cpu, T* dx, T* dshift, T* dscale, const T* dy, const T* x, const T* mean,
                             const T* rstd, const T* scale, NormShape s) {
  const int64_t channels = s.channels, positions = s.positions, blocks = ceil_div(positions, kBlock);
  std::vector<T> parts(dshift ? size_t(s.images * blocks * 2 * channels) : 0);
  parallel_for(s.images * blocks, std::max<int64_t>(1, kStreamGrain / (kBlock * channels)),
               [&](int64_t first, int64_t last) {
                 for (int64_t task = first; task < last; ++task) {
                   const int64_t image = task / blocks, begin = image * positions + task % blocks * kBlock;
                   const T* by = scale + image * channels;
                   block_backward(dx, dshift ? parts.data() + task * 2 * channels : nullptr, dy, x, mean,
                                  rstd, begin, std::min(begin + kBlock, (image + 1) * positions), channels,
                                  [=](auto at) { return 1 + at(by); });
                 }
               });
  if (dshift) add_parts(dshift, dscale, parts.data(), s.images, blocks, channels);
}

#define INSTANTIATE(T)                                                                                       \
  template void layer_norm_forward(Cpu, T*, T*, T*, const T*, const T*, const T*, int64_t, int64_t, double); \
  template void layer_norm_backward(Cpu, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,       \
                                    int64_t, int64_t);                                                       \
  template void modulated_norm_forward(Cpu, T*, T*, T*, const T*, const T*, const T*, NormShape, double);    \
  template void modulated_norm_backward(Cpu, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,   \
                                        NormShape);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
