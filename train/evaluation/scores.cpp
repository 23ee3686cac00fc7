#include "train/evaluation/scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/cpu/parallel.h"
#include "kernels/device/error.h"
#include "kernels/matmul/matmul.h"

namespace dae {

namespace {

MeanStd mean_std(const std::vector<double>& values) {
  MeanStd out;
  for (const double v : values) out.mean += v / double(values.size());
  for (const double v : values) out.std += (v - out.mean) * (v - out.mean) / double(values.size());
  out.std = std::sqrt(out.std);
  return out;
}

std::vector<double> some_rows(const Tensor& x, const std::vector<int64_t>& order, int64_t begin,
                              int64_t end) {
  std::vector<double> out;
  for (int64_t i = begin; i < end; ++i) {
    const float* row = x.data<float>() + order[size_t(i)] * x.dim(1);
    out.insert(out.end(), row, row + x.dim(1));
  }
  return out;
}

std::vector<int64_t> in_order(int64_t count) {
  std::vector<int64_t> order(size_t(count), 0);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// Returns the score of the images [begin, end): the exponential of the mean KL divergence.
double split_score(const Tensor& logits, const std::vector<int64_t>& order, int64_t begin, int64_t end) {
  const int64_t classes = logits.dim(1), count = end - begin;
  std::vector<double> log_p = some_rows(logits, order, begin, end), mean(size_t(classes), 0);
  for (int64_t i = 0; i < count; ++i) {
    double* const row = log_p.data() + i * classes;
    const double top = *std::max_element(row, row + classes);
    double sum = 0;
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(row[c] - top);
    for (int64_t c = 0; c < classes; ++c) {
      row[c] -= top + std::log(sum);
      mean[size_t(c)] += std::exp(row[c]) / double(count);
    }
  }
  double divergence = 0;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t c = 0; c < classes; ++c) {
      const double log_p_c = log_p[size_t(i * classes + c)], p = std::exp(log_p_c);
      if (p > 0) divergence += p * (log_p_c - std::log(mean[size_t(c)]));
    }
  return std::exp(divergence / double(count));
}

// Returns the sum of (x.y / d + 1)^3 over the pairs of a row of x and a row of y. others: without the pairs
// of equal index.
double kernel_sum(const std::vector<double>& x, const std::vector<double>& y, int64_t n, int64_t d,
                  bool others) {
  std::vector<double> k(size_t(n * n), 0);
  matmul(Cpu{}, k.data(), x.data(), y.data(), n, n, d, false, true);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    double row = 0;
    for (int64_t j = 0; j < n; ++j) {
      const double v = k[size_t(i * n + j)] / double(d) + 1;
      if (!others || i != j) row += v * v * v;
    }
    sum += row;
  }
  return sum;
}

// Calls f(i, distances) with the squared distances from row i of x to all rows of y. f runs on several
// threads.
template <class F>
void each_distances(const Tensor& x, const Tensor& y, F&& f) {
  constexpr int64_t kRows = 256;
  const int64_t n = x.dim(0), m = y.dim(0), d = x.dim(1);
  const std::vector<double> ys = some_rows(y, in_order(m), 0, m);
  const auto squares = [d](const double* row) { return std::inner_product(row, row + d, row, 0.0); };
  std::vector<double> lengths;
  for (int64_t j = 0; j < m; ++j) lengths.push_back(squares(ys.data() + j * d));
  std::vector<double> products(size_t(kRows * m), 0);
  for (int64_t begin = 0; begin < n; begin += kRows) {
    const int64_t rows = std::min(kRows, n - begin);
    const std::vector<double> xs = some_rows(x, in_order(n), begin, begin + rows);
    matmul(Cpu{}, products.data(), xs.data(), ys.data(), rows, m, d, false, true);
    parallel_for(rows, 1, [&](int64_t i, int64_t) {
      double* const row = products.data() + i * m;
      const double length = squares(xs.data() + i * d);
      for (int64_t j = 0; j < m; ++j) row[j] = std::max(length + lengths[size_t(j)] - 2 * row[j], 0.0);
      f(begin + i, row);
    });
  }
}

// Returns the squared distance of each row to its k-th nearest other row.
std::vector<double> radii(const Tensor& x, int64_t k) {
  std::vector<double> out(size_t(x.dim(0)), 0);
  each_distances(x, x, [&](int64_t i, double* distances) {
    distances[i] = std::numeric_limits<double>::infinity();
    std::nth_element(distances, distances + k - 1, distances + x.dim(0));
    out[size_t(i)] = distances[k - 1];
  });
  return out;
}

// Returns the share of the rows of x that lie within the radius of a row of y. Radii are squared.
double covered(const Tensor& x, const Tensor& y, const std::vector<double>& radius) {
  std::vector<char> inside(size_t(x.dim(0)), 0);
  each_distances(x, y, [&](int64_t i, const double* distances) {
    for (size_t j = 0; j < radius.size() && !inside[size_t(i)]; ++j)
      inside[size_t(i)] = distances[j] <= radius[j];
  });
  return double(std::count(inside.begin(), inside.end(), 1)) / double(inside.size());
}

}  // namespace

MeanStd inception_score(const Tensor& logits, const Protocol& protocol) {
  using Splits = Protocol::Splits;
  const int64_t count = logits.dim(0);
  if (protocol.splits == Splits::none)
    fail(Fault::usage,
         "is: expected a protocol with an Inception Score (torch-fidelity, adm, gan-metrics), "
         "found {}",
         protocol.name);
  const int64_t splits = protocol.splits == Splits::chunks_of_5000 ? ceil_div(count, int64_t{5000}) : 10;
  if (count < splits || count < 2)
    fail(Fault::usage, "is: expected at least {} images, one a split, found {}", std::max<int64_t>(splits, 2),
         count);
  const std::vector<int64_t> order =
      protocol.splits == Splits::ten_shuffled ? NumpyPermutations(2020).next(count) : in_order(count);
  std::vector<double> scores;
  for (int64_t s = 0; s < splits; ++s) {
    const int64_t begin = protocol.splits == Splits::chunks_of_5000 ? s * 5000 : s * count / splits,
                  end = protocol.splits == Splits::chunks_of_5000 ? std::min(begin + 5000, count)
                                                                  : (s + 1) * count / splits;
    scores.push_back(split_score(logits, order, begin, end));
  }
  return mean_std(scores);
}

MeanStd kernel_distance(const Tensor& a, const Tensor& b, int64_t subsets, int64_t subset_size) {
  const int64_t n = subset_size, d = a.dim(1);
  if (std::min(a.dim(0), b.dim(0)) < n || n < 2)
    fail(Fault::usage,
         "kid: expected at least {} images, the size of a subset, found {} and {}; see "
         "--subset-size",
         std::max<int64_t>(n, 2), a.dim(0), b.dim(0));
  NumpyPermutations permutations(2020);
  std::vector<double> values;
  for (int64_t s = 0; s < subsets; ++s) {
    const std::vector<double> x = some_rows(a, permutations.next(a.dim(0)), 0, n),
                              y = some_rows(b, permutations.next(b.dim(0)), 0, n);
    const double within = kernel_sum(x, x, n, d, true) + kernel_sum(y, y, n, d, true);
    values.push_back(within / double(n * (n - 1)) - 2 * kernel_sum(x, y, n, d, false) / double(n * n));
  }
  return mean_std(values);
}

PrecisionRecall precision_recall(const Tensor& samples, const Tensor& reference, int64_t k) {
  if (std::min(samples.dim(0), reference.dim(0)) <= k)
    fail(Fault::usage, "precision-recall: expected more than {} images, found {} and {}", k, samples.dim(0),
         reference.dim(0));
  return {covered(samples, reference, radii(reference, k)), covered(reference, samples, radii(samples, k))};
}

}  // namespace dae
