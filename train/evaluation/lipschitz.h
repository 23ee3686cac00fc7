// How much an encoder f and a decoder g stretch distances, over random pairs x, x' (arXiv 2307.08283,
// appendix B.1):
//   L(f) = E |f(x) - f(x')| / |x - x'|
//   L(g) = E |g(f(x)) - g(f(x'))| / |f(x) - f(x')|
// Both are the mean of the ratios over the pairs. The paper's own formula is lost. This reading fits the
// paper's figures: the product of its two figures is a little above 1, as E[r] E[1/r] is.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace dae {

// Returns the distance between each example of a and the same example of b; both are (N, ...).
using Distances = std::function<std::vector<double>(const Tensor& a, const Tensor& b)>;
// Returns the L2 distance: the square root of the sum of squares.
std::vector<double> l2_distances(const Tensor& a, const Tensor& b);
// Returns the root of the mean square, so that the number of values has no effect.
std::vector<double> rms_distances(const Tensor& a, const Tensor& b);

struct Metric {
  std::string name;
  Distances images;   // distances of x and of g(f(x))
  Distances latents;  // distances of f(x)
};

struct Ratios {
  double mean = 0, median = 0, p95 = 0;  // p95: the 95th percentile
  int64_t pairs = 0;                     // pairs whose denominator is not 0
};
struct Lipschitz {
  std::string metric;
  Ratios encoder, decoder;
};

// Returns one result per metric over `count` pairs. pairs(begin, count) returns x and x' of those pairs, each
// (count, ...). Throws Fault::data if all pairs are equal, in their images or in their latents.
std::vector<Lipschitz> measure_lipschitz(
    int64_t count, const std::function<std::pair<Tensor, Tensor>(int64_t begin, int64_t count)>& pairs,
    const std::function<Tensor(const Tensor& x)>& encode,
    const std::function<Tensor(const Tensor& z)>& decode, const std::vector<Metric>& metrics);

}  // namespace dae
