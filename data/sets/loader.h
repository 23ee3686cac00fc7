// Makes the batches of a training run ahead of time, on a thread of its own. The choice of the examples,
// their order, crops, flips and augmentations depend on the seed and the batch number alone, so a resumed run
// gets the same batches.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "data/sets/dataset.h"

namespace dae {

struct RawBatch {
  std::variant<std::vector<float>, std::vector<double>> values;  // row-major; double if LoaderOptions::f64
  std::vector<int64_t> shape;   // images (N, H, W, C) in [-1, 1], or vectors (N, D)
  std::vector<int64_t> labels;  // (N); -1: the example has none
};

struct LoaderOptions {
  std::string kind;  // "cifar10", "folder", "tensors", "toy", "procedural"
  // filter: how images of a folder are resized (resize.h). crop: "centre" or "random".
  std::string path, filter = "bilinear", crop = "centre";
  int64_t size = 32, count = 0;    // the side of an image; how many examples are used, 0: all
  int64_t batch = 128, start = 0;  // examples in a batch; the number of the first batch, from 0
  uint64_t seed = 0;
  bool shuffle = true, flip = true, f64 = false;
  // Each batch has two augmented views of each example (augment.h) and no flips: first one view of every
  // example, then the other, so N is twice `batch`.
  bool two_views = false;
  double variance = 0.025;  // for "toy": ToySpec::variance
};

// Opens the data set that the options name. Fault::data or Fault::usage, one line, if it cannot.
std::unique_ptr<Dataset> open_dataset(const LoaderOptions& options);

class Loader {
 public:
  // Opens the data set and starts the thread. Fault::data or Fault::usage, one line, if the data cannot be
  // read or do not fit the options.
  explicit Loader(const LoaderOptions& options);
  ~Loader();
  std::vector<int64_t> example_shape() const;
  const RawBatch& first() const;  // the first 32 examples at most, without shuffle, random crops or flips
  // Returns the next batch; waits for it if necessary. An epoch has only full batches: the rest of the
  // examples is left out. Throws what reading an example threw.
  RawBatch next();
  double wait() const;             // for how many seconds next() has waited so far
  std::string manifest() const;    // JSON: kind, path, count, shape, CRC-32 of what was read
  std::string skipped() const;     // as Dataset::skipped()
  const NoiseRows& noise() const;  // the recorded noise of "tensors"; no rows if there is none

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dae
