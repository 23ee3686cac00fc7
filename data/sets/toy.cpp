#include "data/sets/toy.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "data/streams.h"
#include "kernels/device/error.h"
#include "kernels/device/philox.h"

namespace dae {

namespace {

constexpr double kPi = std::numbers::pi;

// Returns a matrix (dim, 2) with orthonormal columns, by Gram-Schmidt from normal numbers.
std::vector<double> orthonormal_map(int64_t dim, uint64_t seed) {
  std::vector<double> map(2 * dim);
  for (int64_t i = 0; i < dim; ++i) {
    float z[4];
    normal4(random4({seed, kToyMapStep, 0}, i), z);
    map[2 * i] = z[0], map[2 * i + 1] = z[1];
  }
  const auto dot = [&](int a, int b) {
    double sum = 0;
    for (int64_t i = 0; i < dim; ++i) sum += map[2 * i + a] * map[2 * i + b];
    return sum;
  };
  const auto normalize = [&](int a) {
    const double norm = std::sqrt(dot(a, a));
    for (int64_t i = 0; i < dim; ++i) map[2 * i + a] /= norm;
  };
  normalize(0);
  const double overlap = dot(0, 1);
  for (int64_t i = 0; i < dim; ++i) map[2 * i + 1] -= overlap * map[2 * i];
  normalize(1);
  return map;
}

}  // namespace

ToyData make_toy(const ToySpec& spec, int64_t count, uint64_t seed, uint32_t part) {
  if (!(spec.variance > 0) || spec.clusters < 1 || spec.dim < 2)
    fail(Fault::usage,
         "toy data: expected variance > 0, clusters >= 1 and dimension >= 2, found {}, {} and {}; "
         "the defaults are 0.025, 8 and 10",
         spec.variance, spec.clusters, spec.dim);
  const std::vector<double> map = orthonormal_map(spec.dim, seed);
  const double std = std::sqrt(spec.variance);
  ToyData data{spec.dim, std::vector<float>(count * spec.dim), std::vector<int32_t>(count)};
  for (int64_t n = 0; n < count; ++n) {
    const Key key{seed, kToyDataStep, part};
    const int32_t k = int32_t((uint64_t(random4(key, 2 * n).v[0]) * uint64_t(spec.clusters)) >> 32);
    float z[4];
    normal4(random4(key, 2 * n + 1), z);
    const double angle = 2 * kPi * k / double(spec.clusters);
    const double p[2] = {std::cos(angle) + std * z[0], std::sin(angle) + std * z[1]};
    data.label[n] = k;
    for (int64_t i = 0; i < spec.dim; ++i)
      data.x[n * spec.dim + i] = float(map[2 * i] * p[0] + map[2 * i + 1] * p[1]);
  }
  return data;
}

double toy_bayes_accuracy(const ToySpec& spec) {
  // The density of a cluster's points over the angle t from its centre, with the radius integrated out and
  // a = cos t / std:
  //   (e^(-1/(2 var)) + e^(-sin^2 t / (2 var)) a sqrt(2 pi) Phi(a)) / (2 pi)
  const double std = std::sqrt(spec.variance);
  const auto density = [&](double t) {
    const double a = std::cos(t) / std, s = std::sin(t) / std;
    const double phi = 0.5 * std::erfc(-a / std::numbers::sqrt2);
    return (std::exp(-0.5 / spec.variance) + std::exp(-0.5 * s * s) * a * std::sqrt(2 * kPi) * phi) /
           (2 * kPi);
  };
  const int64_t steps = 20000;
  const double half = kPi / double(spec.clusters), h = 2 * half / steps;
  double sum = density(-half) + density(half);
  for (int64_t i = 1; i < steps; ++i) sum += (i % 2 ? 4 : 2) * density(-half + i * h);
  return sum * h / 3;
}

double nearest_neighbour_accuracy(const std::vector<float>& points, const std::vector<int32_t>& point_labels,
                                  const std::vector<float>& queries, const std::vector<int32_t>& query_labels,
                                  int64_t dim) {
  int64_t right = 0;
  const int64_t n = int64_t(point_labels.size()), m = int64_t(query_labels.size());
  for (int64_t q = 0; q < m; ++q) {
    float best = std::numeric_limits<float>::infinity();
    int64_t nearest = 0;
    for (int64_t i = 0; i < n; ++i) {
      float distance = 0;
      for (int64_t d = 0; d < dim; ++d) {
        const float difference = points[i * dim + d] - queries[q * dim + d];
        distance += difference * difference;
      }
      if (distance < best) best = distance, nearest = i;
    }
    right += point_labels[nearest] == query_labels[q];
  }
  return double(right) / double(m);
}

}  // namespace dae
