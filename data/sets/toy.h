// The toy data set of the paper, section 6.1: Gaussian clusters in 2-D, with centres evenly spaced on the
// unit circle, mapped to 10-D by a matrix with orthonormal columns.
#pragma once
#include <cstdint>
#include <vector>

namespace dae {

struct ToySpec {
  double variance = 0.025;  // the variance of a cluster in each of its 2 dimensions
  int64_t clusters = 8;
  int64_t dim = 10;
};

struct ToyData {
  int64_t dim = 0;
  std::vector<float> x;        // (count, dim)
  std::vector<int32_t> label;  // (count), in [0, clusters)
  int64_t count() const { return int64_t(label.size()); }
};

// Draws `count` points of the mixture. Each `part` is an independent sample of the same mixture (0: training,
// 1: test); the map to 10-D depends on the seed alone. Fault::usage for a variance that is not positive, no
// clusters, or dim < 2.
ToyData make_toy(const ToySpec& spec, int64_t count, uint64_t seed, uint32_t part);

// Returns the accuracy of the best possible classifier, in [0, 1]: the probability that the nearest centre to
// a point is the one of its own cluster. The integral is exact along the radius and by Simpson's rule over
// the angle.
double toy_bayes_accuracy(const ToySpec& spec);

// Returns the fraction of the queries whose nearest neighbour among the points has the same label. points and
// queries: (count, dim), row-major. The distance is Euclidean; the lowest index wins a tie.
double nearest_neighbour_accuracy(const std::vector<float>& points, const std::vector<int32_t>& point_labels,
                                  const std::vector<float>& queries, const std::vector<int32_t>& query_labels,
                                  int64_t dim);

}  // namespace dae
