#include "train/paper/confidence.h"

#include <cmath>
#include <limits>

namespace dae {

namespace {

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum / double(values.size());
}

double deviation(const std::vector<double>& values) {
  const double m = mean(values);
  double squares = 0;
  for (const double v : values) squares += (v - m) * (v - m);
  return values.size() > 1 ? std::sqrt(squares / double(values.size() - 1)) : 0;
}

// Returns the integral of cos^power over [0, angle], by Simpson's rule.
double cosine_power(int power, double angle) {
  constexpr int kIntervals = 2000;
  const double step = angle / kIntervals;
  double sum = 0;
  for (int i = 0; i <= kIntervals; ++i)
    sum += std::pow(std::cos(i * step), power) * (i == 0 || i == kIntervals ? 1 : i % 2 ? 4 : 2);
  return sum * step / 3;
}

}  // namespace

// With T = sqrt(freedom) tan(angle), the density over angle is cos^(freedom - 1), normalised (Abramowitz and
// Stegun, section 26.7). Bisection finds the angle.
double student_t(double probability, int freedom) {
  const double right_angle = std::acos(-1.) / 2, whole = cosine_power(freedom - 1, right_angle);
  double low = 0, high = right_angle;
  for (int i = 0; i < 60; ++i) {
    const double angle = (low + high) / 2;
    (cosine_power(freedom - 1, angle) < probability * whole ? low : high) = angle;
  }
  return std::sqrt(double(freedom)) * std::tan(low);
}

Paired paired(const std::vector<double>& a, const std::vector<double>& b) {
  Paired out;
  out.count = int(a.size());
  out.mean_a = mean(a), out.mean_b = mean(b);
  out.std_a = deviation(a), out.std_b = deviation(b);
  std::vector<double> differences;
  for (size_t i = 0; i < a.size(); ++i) differences.push_back(b[i] - a[i]);
  out.difference = mean(differences);
  out.half_width =
      out.count > 1 ? student_t(0.95, out.count - 1) * deviation(differences) / std::sqrt(double(out.count))
                    : std::numeric_limits<double>::infinity();
  return out;
}

bool Paired::decided() const { return std::fabs(difference) > half_width; }

const char* lies_below(const Paired& p) {
  if (std::isnan(p.difference)) return "not measured";
  if (p.count == 1) return p.difference > 0 ? "one seed, which agrees" : "one seed, which does not";
  if (!p.decided()) return "undecided";
  return p.difference > 0 ? "holds" : "does not hold";
}

}  // namespace dae
