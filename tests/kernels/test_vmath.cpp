// The f32 functions of kernels/cpu/simd_math.h against the f64 library, for every 251st of all floats, infinities and
// NaN included. Errors are in units in the last place of the true value; below the smallest normal float, in
// those of the smallest normal float, because exp goes to 0 there.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "kernels/cpu/simd_math.h"

namespace dae {

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kTiny = std::numeric_limits<float>::min();

// Returns the error in units in the last place; infinity if only one of the two is NaN, or only one is
// finite.
double ulps(float found, double truth) {
  if (std::isnan(truth)) return std::isnan(found) ? 0 : kInf;
  const float rounded = float(truth);
  if (std::isinf(rounded) || std::isinf(found)) {
    // One step beyond the largest float is infinity.
    const float edge = std::nextafter(kInf, 0.0f);
    return rounded == found || (std::fabs(rounded) >= edge && std::fabs(found) >= edge) ? 0 : kInf;
  }
  if (!std::isfinite(found)) return kInf;
  const double size = std::fabs(truth);
  if (size < kTiny) return std::fabs(double(found) - truth) <= kTiny ? 0 : kInf;
  return std::fabs(double(found) - truth) / std::ldexp(1.0, std::ilogb(size) - 23);
}

struct Worst {
  double error = 0;
  float at = 0;
};
template <class F, class G>
Worst worst(F fast, G truth, float low = -kInf, float high = kInf) {
  Worst w;
  auto look = [&](float x) {
    if (x < low || x > high) return;
    if (const double e = ulps(fast(x), truth(double(x))); !(e <= w.error)) w = {e, x};
  };
  for (uint64_t bits = 0; bits < (uint64_t(1) << 32); bits += 251) look(std::bit_cast<float>(uint32_t(bits)));
  for (float x : {0.0f, 1.0f, kInf, kTiny, std::nextafter(kInf, 0.0f), 88.72283f, 88.72284f, 87.33654f})
    look(x), look(-x);
  return w;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x))) + 0 * x; }

}  // namespace

#define CHECK_ULPS(limit, ...)           \
  do {                                   \
    const Worst w = worst(__VA_ARGS__);  \
    CAPTURE(w.at);                       \
    CHECK(w.error <= limit);             \
    MESSAGE("worst: ", w.error, " ulp"); \
  } while (0)

TEST_CASE("exp") {
  CHECK_ULPS(
      2, [](float x) { return fast_exp(x); }, [](double x) { return std::exp(x); });
}
TEST_CASE("log") {
  CHECK_ULPS(
      2, [](float x) { return fast_log(x); }, [](double x) { return std::log(x); });
}
TEST_CASE("sigmoid") {
  CHECK_ULPS(
      4, [](float x) { return fast_sigmoid(x); }, sigmoid);
}
TEST_CASE("tanh") {
  CHECK_ULPS(
      2, [](float x) { return fast_tanh(x); }, [](double x) { return std::tanh(x); });
}
TEST_CASE("erf") {
  CHECK_ULPS(
      2, [](float x) { return fast_erf(x); }, [](double x) { return std::erf(x); });
}
TEST_CASE("softplus") {
  CHECK_ULPS(
      3, [](float x) { return fast_softplus(x); },
      [](double x) { return std::isinf(x) ? std::fmax(x, 0.0) : softplus(x); });
}
TEST_CASE("the f64 versions are the library's") {
  for (double x : {-700.0, -3.0, -0.1, 0.2, 5.0, 700.0}) {
    CHECK(fast_exp(x) == std::exp(x));
    CHECK(fast_tanh(x) == std::tanh(x));
    CHECK(fast_erf(x) == std::erf(x));
    CHECK(fast_log(std::fabs(x)) == std::log(std::fabs(x)));
    CHECK(fast_softplus(x) == softplus(x));
  }
}

}  // namespace dae
