// The paper's statements on linear and Gaussian models, checked numerically: what theory says beside what
// training, or integration on a grid, finds. Its formulas are derived again where they are used.
#pragma once
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

struct Finding {
  std::string statement;  // "Lemma A.4: ..."
  std::string what;
  double expected = 0, found = 0;
  double tolerance = 0;   // absolute
  bool at_least = false;  // a bound: found may lie anywhere above expected
  bool holds() const {
    return std::isfinite(found) && (found >= expected - tolerance) &&
           (at_least || found <= expected + tolerance);
  }
};

std::vector<Finding> check_theory(uint64_t seed);  // all of them, in the order below

// A linear autoencoder X -> B A X, trained, reaches the error of PCA.
std::vector<Finding> check_linear_autoencoder(uint64_t seed);
// The same with spectral norms bounded, |A| <= a and |B| <= b: a bound on the encoder alone changes nothing;
// the principal components are recovered if and only if a b >= 1.
std::vector<Finding> check_bounded_autoencoder(uint64_t seed);
// An increasing generator with slope at most c from U(0, 1) to N(0, 1): the total variation left falls as
// about 1/c.
std::vector<Finding> check_bounded_generator();
// Wasserstein-2 between a Gaussian and bounded linear images of a Gaussian latent, by descent.
std::vector<Finding> check_gaussian_latent(uint64_t seed);
// K separated clusters stay K separated clusters in the latent of a trained autoencoder.
std::vector<Finding> check_clusters(uint64_t seed);

// Total variation between N(0, 1) and the law of g(Z), Z uniform, where g has the slope of the normal
// quantile function clipped at c. In closed form, and integrated on a grid.
double clipped_quantile_tv(double c);
double clipped_quantile_tv_on_grid(double c);

// Connected pieces of n points (n, dim) by single linkage, cut where the sorted edges of the minimum spanning
// tree fall by the largest factor. Writes each point's piece, 0 .. pieces - 1.
int64_t single_linkage(const std::vector<float>& points, int64_t dim, std::vector<int32_t>& piece);
