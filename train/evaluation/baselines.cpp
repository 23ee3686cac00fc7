#include "train/evaluation/baselines.h"

#include <cmath>

#include "engine/ops.h"
#include "train/feed/feed.h"

namespace dae {

namespace {

// Returns the columns of q (D, k), made orthonormal one after the other by Gram-Schmidt in f64. Each is
// projected twice, because one pass leaves rounding errors.
Tensor orthonormal(const Tensor& q) {
  const int64_t d = q.dim(0), k = q.dim(1);
  const std::vector<double> values = q.values();
  std::vector<std::vector<double>> columns;
  for (int64_t j = 0; j < k; ++j) {
    std::vector<double> v(size_t(d), 0);
    for (int64_t i = 0; i < d; ++i) v[size_t(i)] = values[size_t(i * k + j)];
    const auto dot = [&](const std::vector<double>& u) {
      double sum = 0;
      for (size_t i = 0; i < u.size(); ++i) sum += u[i] * v[i];
      return sum;
    };
    for (int turn = 0; turn < 2; ++turn)
      for (const auto& u : columns) {
        const double along = dot(u);
        for (size_t i = 0; i < u.size(); ++i) v[i] -= along * u[i];
      }
    const double norm = std::sqrt(dot(v));
    for (double& value : v) value /= std::max(norm, 1e-30);
    columns.push_back(std::move(v));
  }
  Tensor out({d, k});
  for (int64_t i = 0; i < d; ++i)
    for (int64_t j = 0; j < k; ++j) out.data<float>()[i * k + j] = float(columns[size_t(j)][size_t(i)]);
  return out;
}

Tensor less(const Tensor& x, const Tensor& mean) { return add_bias(x, scale(mean, -1)); }
double mean_square(const Tensor& x) { return mean(square(x)).item(); }

Tensor images_of(const Recipe& recipe, int64_t count) {  // returns (N, H, W, C), f32, on the CPU
  const Examples examples(recipe);
  return examples.range(0, std::min(count, examples.size())).x.to(Device::cpu).to(Dtype::f32);
}

}  // namespace

double pca_error(const Tensor& fitted, const Tensor& judged, int64_t k) {
  const NoGrad off;
  const Tensor mean = scale(sum_rows(fitted), 1 / double(fitted.dim(0)));
  const Tensor x = less(fitted, mean), y = less(judged, mean);
  Tensor q = orthonormal(normal({x.dim(1), std::min(k, x.dim(1))}, Key{0, 0, 0}));
  for (int turn = 0; turn < 20; ++turn) q = orthonormal(matmul(x, matmul(x, q), true));
  return mean_square(y - matmul(matmul(y, q), q, false, true));
}

Baselines measure_baselines(const Recipe& trained_on, const Recipe& judged, int64_t images, int64_t latents) {
  const NoGrad off;
  const Tensor y = images_of(judged, images), x = images_of(trained_on, 2000);
  const int64_t n = y.dim(0), channels = y.dim(3), pixels = y.size() / n / channels;
  Baselines out;
  const double middle = mean(y).item();
  out.grey = mean_square(shift(y, -middle));
  double squares = 0;  // sum over images of the variance within a channel
  for (int64_t i = 0; i < n; ++i) {
    const Tensor image = reshape(slice(y, 0, i, i + 1), {pixels, channels});
    squares += mean_square(less(image, scale(sum_rows(image), 1 / double(pixels))));
  }
  out.mean_colour = squares / double(n);
  out.pca = pca_error(reshape(x, {x.dim(0), -1}), reshape(y, {n, -1}), latents);
  return out;
}

}  // namespace dae
