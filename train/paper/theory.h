// Numerical checks of the paper's statements on linear and Gaussian models. Each check compares what the
// theory says with what training, or integration on a grid, finds. The paper's formulas are derived anew in
// theory.cpp.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace dae {

struct Finding {
  std::string statement;  // the paper's statement: "Lemma A.4: ..."
  std::string what;
  double expected = 0, found = 0;
  double tolerance = 0;   // absolute
  bool at_least = false;  // true: `expected` is a lower bound
  bool holds() const {
    return std::isfinite(found) && (found >= expected - tolerance) &&
           (at_least || found <= expected + tolerance);
  }
};

std::vector<Finding> check_theory(uint64_t seed);  // returns the findings of all checks below, in this order

// Checks that a trained linear autoencoder X -> B A X reaches the error of PCA (Lemma A.4).
std::vector<Finding> check_linear_autoencoder(uint64_t seed);
// Checks the linear autoencoder with bounded spectral norms |A| <= a and |B| <= b (Theorem 4.1). A bound on
// the encoder alone changes nothing. The principal components are recovered if and only if a b >= 1.
std::vector<Finding> check_bounded_autoencoder(uint64_t seed);
// Checks an increasing generator from U(0, 1) to N(0, 1) with slope at most c (example A.1): the total
// variation that is left falls as about 1/c.
std::vector<Finding> check_bounded_generator();
// Checks the least Wasserstein-2 distance between a Gaussian and bounded linear images of a Gaussian latent
// (example A.2), found by descent.
std::vector<Finding> check_gaussian_latent(uint64_t seed);
// Checks that K separated clusters stay K separated clusters in the latent of a trained autoencoder
// (Proposition A.3).
std::vector<Finding> check_clusters(uint64_t seed);

// Returns the total variation between N(0, 1) and the law of g(Z), Z uniform on (0, 1), where g has the slope
// of the normal quantile function clipped at c. The first function is the closed form; the second integrates
// on a grid.
double clipped_quantile_tv(double c);
double clipped_quantile_tv_on_grid(double c);

// Splits n points, (n, dim) row by row, into connected pieces by single linkage and returns the number of
// pieces. The edges of the minimum spanning tree, sorted by length, are cut where the length falls by the
// largest factor. Writes the piece of each point, 0 .. pieces - 1.
int64_t single_linkage(const std::vector<float>& points, int64_t dim, std::vector<int32_t>& piece);

}  // namespace dae
