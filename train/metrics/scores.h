// Scores of sets of images from Inception's features, besides the Frechet distance.
#pragma once
#include "engine/tensor.h"
#include "train/metrics/protocol.h"

struct MeanStd {
  double mean = 0, std = 0;  // of splits or subsets; the deviation is the population's
};

// Inception Score (Salimans et al. 2016) of logits without fc.bias, (count, 1008), cut as the protocol says:
// exp of the mean over images of KL(p(y|x) || mean p). Fault::usage if it has no Inception Score or there are
// fewer images than splits.
MeanStd inception_score(const Tensor& logits, const Protocol& protocol);

// Kernel distance, KID (Binkowski et al. 2018): the unbiased squared MMD of features (count, d) under
// (x.y / d + 1)^3, over `subsets` pairs of subsets drawn as torch-fidelity draws them (seed 2020).
// Fault::usage for sets smaller than a subset.
MeanStd kernel_distance(const Tensor& a, const Tensor& b, int64_t subsets = 100, int64_t subset_size = 1000);

// Improved precision and recall (Kynkaanniemi et al. 2019): the share of samples that lie within the distance
// of some reference image to its k-th nearest other one, and the converse. Fault::usage for k images or
// fewer.
struct PrecisionRecall {
  double precision = 0, recall = 0;
};
PrecisionRecall precision_recall(const Tensor& samples, const Tensor& reference, int64_t k = 3);
