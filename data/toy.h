// The toy set of the paper, section 6.1: Gaussian clusters with centres evenly on the unit circle, mapped
// from 2-D to 10-D by a matrix with orthonormal columns.
#pragma once
#include <cstdint>
#include <vector>

struct ToySpec {
  double variance = 0.025;  // of each cluster, per dimension
  int64_t clusters = 8;
  int64_t dim = 10;
};

struct ToyData {
  int64_t dim = 0;
  std::vector<float> x;        // (count, dim)
  std::vector<int32_t> label;  // (count), in [0, clusters)
  int64_t count() const { return int64_t(label.size()); }
};

// `part` numbers independent samples (0: training, 1: test) of one mixture: the map depends on the seed
// alone.
ToyData make_toy(const ToySpec& spec, int64_t count, uint64_t seed, uint32_t part);

// Accuracy of the best classifier of the mixture, in [0, 1]: the probability that a point lies nearest to the
// centre it came from. Exact along the radius, Simpson's rule over the angle.
double toy_bayes_accuracy(const ToySpec& spec);

// Share of the queries (count, dim) whose nearest neighbour (Euclidean, lowest index on ties) among `points`
// has their label.
double nearest_neighbour_accuracy(const std::vector<float>& points, const std::vector<int32_t>& point_labels,
                                  const std::vector<float>& queries, const std::vector<int32_t>& query_labels,
                                  int64_t dim);
