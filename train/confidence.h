// Two sides measured with the same seeds: what their paired differences say.
#pragma once
#include <vector>

// The t with P(|T| <= t) = probability for Student's T with `freedom` degrees; probability in (0, 1).
double student_t(double probability, int freedom);

struct Paired {
  int count = 0;
  double mean_a = 0, mean_b = 0, std_a = 0, std_b = 0;  // of a run; n - 1 in the deviation, 0 for one run
  double difference = 0;                                // mean of b - a
  double half_width = 0;  // of its 95 % confidence interval; infinite for one pair
  bool decided() const;   // the interval lies on one side of 0
};
// a[i] and b[i] come from the same seed. At least one pair.
Paired paired(const std::vector<double>& a, const std::vector<double>& b);
// Whether a lies below b: "holds" or "does not hold"; "undecided" where the interval holds 0; "one seed,
// which agrees" or "does not" for a single pair, which decides nothing; "not measured" where a value is NaN.
const char* lies_below(const Paired& p);
