// Statistics of a latent space: scale, directions in use, neighbours (arXiv 2307.08283, remarks 3.5 and 3.7).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace dae {

struct LatentReport {
  std::string name;
  int64_t count = 0;                    // examples
  bool averaged = false;                // encoded with a run's averaged weights
  std::vector<double> mean, deviation;  // of each channel; channels are the last dimension
  double std = 0;                       // standard deviation of all values
  double scale = 0;  // 1 / std: the factor that gives the values variance 1 (KL-f8 uses 0.18215)
  // Eigenvalues of the covariance, descending. Each latent is one vector. If a latent has more than kLongest
  // values, the covariance is that of the channels instead, with every position as an example.
  std::vector<double> spectrum;
  bool of_channels = false;
  // The exponential of the entropy of the normalised eigenvalues (Roy & Vetterli 2007).
  double effective_rank = 0;
  int64_t neighbours = 0;
  std::optional<double> knn;  // accuracy of the neighbours' vote; empty without labels
};
inline constexpr int64_t kLongest = 2048;

// Returns the statistics of `latents` (N, ..., C), N at least 2, with `labels` (N) or none. For the accuracy
// the first half of the latents votes on the second half, `neighbours` voters on each (euclidean_accuracy).
// Throws Fault::data for fewer than two latents and for values that are not finite.
LatentReport examine_latents(const std::string& name, const Tensor& latents,
                             const std::vector<int64_t>& labels, int64_t neighbours);

// Returns the share of the queries (M, D), f32, whose label has the most votes among their k nearest rows of
// the bank (N, D). The distance is Euclidean, so that a common mean of the latents has no effect. Among equal
// distances the first row counts, among equal votes the lowest label. Labels count from 0.
double euclidean_accuracy(const Tensor& bank, const std::vector<int64_t>& bank_labels, const Tensor& queries,
                          const std::vector<int64_t>& labels, int64_t k);

// Returns the effective rank of the eigenvalues. Negative ones count as 0; the result is 0 if none is
// positive.
double effective_rank(const std::vector<double>& eigenvalues);

}  // namespace dae
