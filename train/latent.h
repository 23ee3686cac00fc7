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
  int64_t neighbours = 0;
  std::optional<double> knn;  // accuracy of their vote, where there are labels
};
inline constexpr int64_t kLongest = 2048;

// latents (N, ..., C), at least two; labels (N) or none. The first half votes on the second, `neighbours` of
// it on each (euclidean_accuracy).
LatentReport examine_latents(const std::string& name, const Tensor& latents,
                             const std::vector<int64_t>& labels, int64_t neighbours);

// Share of the queries (M, D), f32, whose label has the most of their k nearest of the bank (N, D) by
// Euclidean distance, which no mean of the latents moves. Of equally near ones the first counts, of equal
// votes the lowest label. Labels from 0.
double euclidean_accuracy(const Tensor& bank, const std::vector<int64_t>& bank_labels, const Tensor& queries,
                          const std::vector<int64_t>& labels, int64_t k);

double effective_rank(const std::vector<double>& eigenvalues);  // negative ones count as 0; 0 if all are
