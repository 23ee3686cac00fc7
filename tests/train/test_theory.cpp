// Checks every statement of `dae reproduce theory`, for a seed other than the default.
#include <doctest/doctest.h>

#include "train/paper/theory.h"

namespace dae {

static void check(const std::vector<Finding>& findings) {
  REQUIRE(!findings.empty());
  for (const Finding& f : findings) {
    CAPTURE(f.what);
    CAPTURE(f.expected);
    CAPTURE(f.found);
    CHECK(f.holds());
  }
}

TEST_CASE("a finding holds within its tolerance, and never when it is not a number") {
  CHECK(Finding{"", "", 1, 1.05, 0.1}.holds());
  CHECK(!Finding{"", "", 1, 1.2, 0.1}.holds());
  CHECK(!Finding{"", "", 1, 0.8, 0.1}.holds());
  CHECK(Finding{"", "", 1, 5, 0, true}.holds());
  CHECK(!Finding{"", "", 1, 0.9, 0, true}.holds());
  CHECK(!Finding{"", "", 1, std::nan(""), 1e9, true}.holds());
}

TEST_CASE("Lemma A.4") { check(check_linear_autoencoder(17)); }
TEST_CASE("Theorem 4.1") { check(check_bounded_autoencoder(17)); }
TEST_CASE("A.1") {
  check(check_bounded_generator());
  // The slope is below 1/phi(0) everywhere, so g is linear, its values are uniform on [-1, 1], and the two
  // tails of the normal are lost.
  CHECK(clipped_quantile_tv(2) == doctest::Approx(0.317310508));
}
TEST_CASE("A.2") { check(check_gaussian_latent(17)); }
TEST_CASE("Proposition A.3") { check(check_clusters(17)); }

TEST_CASE("single linkage counts pieces and names them") {
  std::vector<int32_t> piece;
  CHECK(single_linkage({0, 0, 0.1f, 0, 5, 5, 5.1f, 5, 5.2f, 5, -9, 0, -9.1f, 0}, 2, piece) == 3);
  CHECK(piece == std::vector<int32_t>{0, 0, 1, 1, 1, 2, 2});
}

}  // namespace dae
