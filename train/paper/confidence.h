// Statistics of paired differences, for two sides that were measured with the same seeds.
#pragma once
#include <vector>

namespace dae {

// Returns the t with P(|T| <= t) = probability, where T has Student's distribution with `freedom` degrees of
// freedom. probability is in (0, 1).
double student_t(double probability, int freedom);

struct Paired {
  int count = 0;
  double mean_a = 0, mean_b = 0, std_a = 0, std_b = 0;  // std: standard deviation of a sample; 0 for one run
  double difference = 0;                                // mean of b[i] - a[i]
  double half_width = 0;  // of the 95 % confidence interval of the difference; infinite for one pair
  // Returns whether the interval lies on one side of 0.
  bool decided() const;
};
// Returns the statistics of at least one pair. a[i] and b[i] come from the same seed.
Paired paired(const std::vector<double>& a, const std::vector<double>& b);
// Returns whether a lies below b:
//   "holds" or "does not hold"   the interval lies on one side of 0
//   "undecided"                  the interval contains 0
//   "one seed, which agrees"     for a single pair, or "one seed, which does not"
//   "not measured"               a value is NaN
const char* lies_below(const Paired& p);

}  // namespace dae
