#include "train/latent.h"

#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "train/metrics/frechet.h"
#include "train/probe.h"

double effective_rank(const std::vector<double>& eigenvalues) {
  double sum = 0, entropy = 0;
  for (const double v : eigenvalues) sum += std::max(v, 0.0);
  for (const double v : eigenvalues)
    if (const double p = v / sum; p > 0) entropy -= p * std::log(p);
  return sum > 0 ? std::exp(entropy) : 0;
}

LatentReport examine_latents(const std::string& name, const Tensor& latents,
                             const std::vector<int64_t>& labels, int64_t neighbours, double temperature) {
  const NoGrad off;
  const int64_t count = latents.rank() > 1 ? latents.dim(0) : 0;
  if (count < 2)
    fail(Fault::data, "latent: {}: expected latents (N, ..., C) of at least two examples, found shape {}",
         name, latents.shape().str());
  const Tensor x = latents.to(Device::cpu).to(Dtype::f32);
  LatentReport report;
  report.name = name, report.count = count;

  const int64_t channels = x.dim(-1), rows = x.rows();
  const std::vector<double> values = x.values();
  std::vector<double> squares(size_t(channels), 0.0);
  report.mean.assign(size_t(channels), 0.0);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t c = 0; c < channels; ++c) report.mean[size_t(c)] += values[size_t(i * channels + c)];
  double all = 0, square = 0;
  for (double& m : report.mean) m /= double(rows), all += m / double(channels);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t c = 0; c < channels; ++c) {
      const double v = values[size_t(i * channels + c)], d = v - report.mean[size_t(c)];
      if (!std::isfinite(v)) fail(Fault::data, "latent: {}: expected finite values, found {}", name, v);
      squares[size_t(c)] += d * d, square += (v - all) * (v - all);
    }
  for (const double s : squares) report.deviation.push_back(std::sqrt(s / double(rows)));
  report.std = std::sqrt(square / double(values.size()));
  report.scale = report.std > 0 ? 1 / report.std : 0;

  const int64_t length = x.size() / count;
  report.of_channels = length > kLongest;
  const Tensor examples = report.of_channels ? x.with_shape({rows, channels}) : x.with_shape({count, length});
  report.spectrum = symmetric_eigenvalues(statistics_of(examples).covariance);
  std::reverse(report.spectrum.begin(), report.spectrum.end());
  report.effective_rank = effective_rank(report.spectrum);

  const bool labelled = !labels.empty() && *std::min_element(labels.begin(), labels.end()) >= 0;
  if (labelled) {
    const int64_t half = count / 2;
    const Tensor flat = x.with_shape({count, length});
    report.knn = knn_accuracy(slice(flat, 0, 0, half), {labels.begin(), labels.begin() + half},
                              slice(flat, 0, half, count), {labels.begin() + half, labels.end()}, neighbours,
                              temperature);
  }
  return report;
}
