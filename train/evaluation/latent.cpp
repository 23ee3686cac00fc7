#include "train/evaluation/latent.h"

#include <algorithm>
#include <cmath>

#include "engine/ops.h"
#include "kernels/cpu/parallel.h"
#include "train/evaluation/frechet.h"

namespace dae {

double effective_rank(const std::vector<double>& eigenvalues) {
  double sum = 0, entropy = 0;
  for (const double v : eigenvalues) sum += std::max(v, 0.0);
  for (const double v : eigenvalues)
    if (const double p = v / sum; p > 0) entropy -= p * std::log(p);
  return sum > 0 ? std::exp(entropy) : 0;
}

double euclidean_accuracy(const Tensor& bank, const std::vector<int64_t>& bank_labels, const Tensor& queries,
                          const std::vector<int64_t>& labels, int64_t k) {
  const int64_t voters = bank.dim(0), count = queries.dim(0), d = bank.dim(1);
  const float *from = bank.data<float>(), *asking = queries.data<float>();
  const size_t classes = size_t(1 + *std::max_element(bank_labels.begin(), bank_labels.end()));
  std::vector<char> right(size_t(count), 0);
  parallel_for(count, 1, [&](int64_t begin, int64_t end) {
    std::vector<std::pair<double, int64_t>> near(size_t(voters), {0, 0});
    for (int64_t q = begin; q < end; ++q) {
      for (int64_t i = 0; i < voters; ++i) {
        // The sum of squared differences: |a|^2 + |b|^2 - 2 ab would lose digits to a common mean.
        double square = 0;
        for (int64_t j = 0; j < d; ++j) {
          const double apart = double(asking[q * d + j]) - double(from[i * d + j]);
          square += apart * apart;
        }
        near[size_t(i)] = {square, i};
      }
      std::partial_sort(near.begin(), near.begin() + k, near.end());
      std::vector<int64_t> votes(classes, 0);
      for (int64_t i = 0; i < k; ++i) ++votes[size_t(bank_labels[size_t(near[size_t(i)].second)])];
      right[size_t(q)] = std::max_element(votes.begin(), votes.end()) - votes.begin() == labels[size_t(q)];
    }
  });
  return double(std::count(right.begin(), right.end(), 1)) / double(count);
}

LatentReport examine_latents(const std::string& name, const Tensor& latents,
                             const std::vector<int64_t>& labels, int64_t neighbours) {
  const NoGrad off;
  const int64_t count = latents.rank() > 1 ? latents.dim(0) : 0;
  if (count < 2)
    fail(Fault::data, "latent: {}: expected latents (N, ..., C) of at least two examples, found shape {}",
         name, latents.shape().str());
  const Tensor x = latents.to(Device::cpu).to(Dtype::f32);
  LatentReport report;
  report.name = name, report.count = count, report.neighbours = std::min(neighbours, count / 2);

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
    report.knn = euclidean_accuracy(slice(flat, 0, 0, half), {labels.begin(), labels.begin() + half},
                                    slice(flat, 0, half, count), {labels.begin() + half, labels.end()},
                                    report.neighbours);
  }
  return report;
}

}  // namespace dae
