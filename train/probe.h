// How good are a model's features? The accuracy of nearest neighbours in them, which needs no training.
#pragma once
#include <vector>

#include "train/feed.h"

// Share of the queries whose label wins the vote of their k nearest of the bank by cosine, each with the
// weight e^(cosine / temperature) (Wu et al. 2018). bank (N, D) and queries (M, D) of any length; labels of
// both, from 0. Of equally near ones the first counts, of equal votes the lowest label.
double knn_accuracy(const Tensor& bank, const std::vector<int64_t>& bank_labels, const Tensor& queries,
                    const std::vector<int64_t>& labels, int64_t k, double temperature);

// A part of the data that votes and a part that is classified, chosen by the recipe's seed. With CIFAR-10 in
// a folder the latter is of its test_batch.bin; otherwise of the data themselves, none of it in both.
class Probe {
 public:
  explicit Probe(const Recipe& recipe);           // Fault::usage if there are too few examples, or no labels
  double accuracy(Experiment& experiment) const;  // Fault::usage for a model without an encoder

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
