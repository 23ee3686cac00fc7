// How much an encoder f and a decoder g stretch, over random pairs x, x' (arXiv 2307.08283, appendix B.1):
//   L(f) = E |f(x) - f(x')| / |x - x'|,   L(g) = E |g(f(x)) - g(f(x'))| / |f(x) - f(x')|,
// the mean of the pairs' ratios. The paper's own formula is lost; this reading fits its figures, whose
// products are a little above 1, as E[r] E[1/r] is.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/tensor.h"

// Distance of each example of a from that of b, (N, ...) both.
using Distances = std::function<std::vector<double>(const Tensor& a, const Tensor& b)>;
std::vector<double> l2_distances(const Tensor& a, const Tensor& b);
// The root of the mean square in place of the sum, so that sizes do not matter.
std::vector<double> rms_distances(const Tensor& a, const Tensor& b);

struct Metric {
  std::string name;
  Distances images;   // of x and of g(f(x))
  Distances latents;  // of f(x)
};

struct Ratios {
  double mean = 0, median = 0, p95 = 0;  // p95: the 95th percentile
  int64_t pairs = 0;                     // but for those that do not differ in the denominator
};
struct Lipschitz {
  std::string metric;
  Ratios encoder, decoder;
};

// pairs(begin, count) gives x and x' of those pairs, each (count, ...). One result a metric. Fault::data if
// all pairs are equal, in their images or in their latents.
std::vector<Lipschitz> measure_lipschitz(
    int64_t count, const std::function<std::pair<Tensor, Tensor>(int64_t begin, int64_t count)>& pairs,
    const std::function<Tensor(const Tensor& x)>& encode,
    const std::function<Tensor(const Tensor& z)>& decode, const std::vector<Metric>& metrics);
