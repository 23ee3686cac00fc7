// Metrics of sets of images that use Inception's features, besides the Frechet distance.
#pragma once
#include "engine/tensor.h"
#include "train/evaluation/protocol.h"

namespace dae {

struct MeanStd {
  double mean = 0, std = 0;  // over splits or subsets; std is that of the population
};

// Returns the Inception Score (Salimans et al. 2016) of logits (count, 1008), computed without fc.bias and
// split as the protocol says. The score of a split is
//   exp(mean over its images of KL(p(y|x) || mean of p(y|x))).
// Throws Fault::usage if the protocol has no Inception Score or there are fewer images than splits.
MeanStd inception_score(const Tensor& logits, const Protocol& protocol);

// Returns the kernel distance KID (Binkowski et al. 2018) between features a and b, (count, d): the unbiased
// estimate of the squared MMD with the kernel (x.y / d + 1)^3, over `subsets` pairs of subsets. The subsets
// are drawn as torch-fidelity draws them (seed 2020). Throws Fault::usage for sets smaller than a subset.
MeanStd kernel_distance(const Tensor& a, const Tensor& b, int64_t subsets = 100, int64_t subset_size = 1000);

// Improved precision and recall (Kynkaanniemi et al. 2019). Precision is the share of samples within the
// radius of a reference image, where the radius is the distance from that image to its k-th nearest other
// reference image. Recall is the same with the sets exchanged.
struct PrecisionRecall {
  double precision = 0, recall = 0;
};
// Returns both for features (count, d). Throws Fault::usage for sets of k images or fewer.
PrecisionRecall precision_recall(const Tensor& samples, const Tensor& reference, int64_t k = 3);

}  // namespace dae
