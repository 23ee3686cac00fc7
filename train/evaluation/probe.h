// A probe measures how good a model's features are: by the accuracy of nearest neighbours, which needs no
// training.
#pragma once
#include <vector>

#include "train/learners/learner.h"

namespace dae {

// Returns the share of the queries whose label wins the vote of the k nearest rows of the bank by cosine. A
// vote has the weight e^(cosine / temperature) (Wu et al. 2018). bank is (N, D) and queries is (M, D), rows
// of any length; the labels of both count from 0. Among equal cosines the first row counts, among equal votes
// the lowest label.
double knn_accuracy(const Tensor& bank, const std::vector<int64_t>& bank_labels, const Tensor& queries,
                    const std::vector<int64_t>& labels, int64_t k, double temperature);

// Two parts of the data, chosen by the recipe's seed: one votes, the other is classified. With CIFAR-10 in a
// folder the second part comes from its test_batch.bin; for procedural data from pictures of another seed;
// otherwise from the recipe's data. No example is in both parts.
class Probe {
 public:
  // Throws Fault::usage if there are too few examples, or no labels.
  explicit Probe(const Recipe& recipe);
  // Returns the accuracy in [0, 1]. Throws Fault::usage for a model without an encoder.
  double accuracy(Learner& learner) const;

 private:
  struct Part {
    Tensor x;
    std::vector<int64_t> labels;
  };
  static Part take(const Recipe& recipe, int64_t begin, int64_t count);
  int64_t every_, k_;
  double temperature_;
  Part bank_, queries_;
};

}  // namespace dae
