// The baselines of a reconstruction, against closed forms and LAPACK's eigenvalues.
#include <doctest/doctest.h>

#include "engine/ops.h"
#include "train/evaluation/baselines.h"
#include "train/evaluation/frechet.h"
#include "train/feed/feed.h"

namespace dae {

TEST_CASE("PCA's error is what the smaller eigenvalues of the covariance sum to") {
  constexpr int64_t kRows = 301, kWidth = 23;
  // The spread differs by direction: each eigenvalue is 0.7 times the one before.
  Tensor mix = normal({kWidth, kWidth}, Key{1, 0, 0});
  Tensor x = normal({kRows, kWidth}, Key{2, 0, 0});
  for (int64_t i = 0; i < kRows; ++i)
    for (int64_t j = 0; j < kWidth; ++j) x.data<float>()[i * kWidth + j] *= float(std::pow(0.7, double(j)));
  x = shift(matmul(x, mix), 3);
  const std::vector<double> eigenvalues = symmetric_eigenvalues(statistics_of(x).covariance);  // ascending
  for (const int64_t k : {1, 2, 5, 11, 22}) {
    CAPTURE(k);
    double rest = 0;
    for (int64_t i = 0; i < kWidth - k; ++i) rest += eigenvalues[size_t(i)];
    rest *= double(kRows - 1) / double(kRows * kWidth);  // from the unbiased covariance to a mean error
    CHECK(pca_error(x, x, k) == doctest::Approx(rest).epsilon(1e-2));
    CHECK(pca_error(x, x, k) >= rest * (1 - 1e-3));  // no projection has a smaller error
  }
  CHECK(pca_error(x, x, kWidth) < 1e-9);
}

TEST_CASE("grey and mean colours, counted by hand on the built-in pictures") {
  const Recipe recipe = load_recipe("vae-cifar10", {"data.kind=procedural"});
  constexpr int64_t kImages = 37;
  const std::vector<double> x = Examples(*held_out(recipe)).range(0, kImages).x.values();
  const auto n = double(x.size());
  double sum = 0, squares = 0, within = 0;
  for (const double v : x) sum += v, squares += v * v;
  for (int64_t i = 0; i < kImages; ++i)
    for (int c = 0; c < 3; ++c) {
      double s = 0, s2 = 0;
      for (int64_t p = 0; p < 1024; ++p) {
        const double v = x[size_t((i * 1024 + p) * 3 + c)];
        s += v, s2 += v * v;
      }
      within += s2 - s * s / 1024;
    }
  const Baselines b = measure_baselines(recipe, *held_out(recipe), kImages, 5);
  CHECK(b.grey == doctest::Approx(squares / n - sum * sum / n / n).epsilon(1e-4));
  CHECK(b.mean_colour == doctest::Approx(within / n).epsilon(1e-4));
  CHECK(b.pca < b.mean_colour);
  CHECK(b.pca > 0);
}

}  // namespace dae
