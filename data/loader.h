// Training data: batches made ahead of time on a thread of their own. Which examples, in which order, how
// cropped and whether flipped follow from the seed and the position alone, so a resumed run sees the same.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "data/dataset.h"

struct RawBatch {
  std::variant<std::vector<float>, std::vector<double>> values;  // row-major; double for a run in f64
  std::vector<int64_t> shape;   // images (N, H, W, C) in [-1, 1], or vectors (N, D)
  std::vector<int64_t> labels;  // (N), -1 where there are none
};

struct LoaderOptions {
  std::string kind;  // "cifar10", "folder", "tensors", "toy", "procedural"
  std::string path, filter = "bilinear", crop = "centre";
  int64_t size = 32, count = 0;    // image side; how many examples to use, 0: all
  int64_t batch = 128, start = 0;  // examples a batch; batches already taken
  uint64_t seed = 0;
  bool shuffle = true, flip = true, f64 = false;
  // Two augmented views of each example (augment.h) in place of flips: the first view of all, then the
  // second, so N is twice the batch.
  bool two_views = false;
  double variance = 0.025;  // toy
};

std::unique_ptr<Dataset> open_dataset(const LoaderOptions& options);  // Fault::data or Fault::usage, one line

class Loader {
 public:
  explicit Loader(const LoaderOptions& options);  // Fault::data or Fault::usage, one line
  ~Loader();
  std::vector<int64_t> example_shape() const;
  const RawBatch& first() const;   // the first 32 examples at most, as they are: the same in every picture
  RawBatch next();                 // the last, smaller batch of an epoch is dropped
  double wait() const;             // seconds next() has waited so far
  std::string manifest() const;    // JSON: kind, path, count, shape, CRC-32 of what was read
  std::string skipped() const;     // Dataset::skipped()
  const NoiseRows& noise() const;  // "tensors": the recorded noise

 private:
  struct State;
  std::unique_ptr<State> state_;
};
