// What a latent space looks like: scale, directions in use, neighbours (arXiv 2307.08283, remarks 3.5
// and 3.7).
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/tensor.h"

struct LatentReport {
  std::string name;
  int64_t count = 0;                    // examples
  bool averaged = false;                // by a run's averaged weights
  std::vector<double> mean, deviation;  // of each channel: the last dimension
  double std = 0;                       // of all values
  double scale = 0;                     // 1 / std: what brings their variance to 1 (as KL-f8's 0.18215)
  // Eigenvalues of the covariance, descending: of the latent as one vector or, where that is longer than
  // kLongest, of its channels with every position an example.
  std::vector<double> spectrum;
  bool of_channels = false;
  double effective_rank = 0;  // e^entropy of the eigenvalues over their sum (Roy & Vetterli 2007)
  std::optional<double> knn;  // accuracy of neighbours, where there are labels
};
inline constexpr int64_t kLongest = 2048;

// latents (N, ..., C), at least two; labels (N) or none. For knn_accuracy (probe.h) the first half votes on
// the second: `neighbours` of them, with `temperature`.
LatentReport examine_latents(const std::string& name, const Tensor& latents,
                             const std::vector<int64_t>& labels, int64_t neighbours, double temperature);

double effective_rank(const std::vector<double>& eigenvalues);  // negative ones count as 0; 0 if all are
