// What a training step reads: batches of the recipe's data as tensors, its noise, and pictures written.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "train/experiment.h"

struct Batch {
  // (B, H, W, C) or (B, D) in the recipe's dtype, on its device; with data.augment two views of each example,
  // so twice as many: the first of all, then the second.
  Tensor x;
  Tensor labels;  // of each of x, i64; -1 where the data has none
};

class Feed {
 public:
  Feed(const Recipe& recipe, int64_t batches_taken);
  ~Feed();
  std::vector<int64_t> example_shape() const;  // of x, without B
  Batch first() const;  // the first 32 examples at most, as they are: the same in every picture
  Batch next();
  double wait() const;           // seconds that next() waited for data so far
  std::string skipped() const;   // files of a folder that it does not read (data/dataset.h), or empty
  std::string manifest() const;  // JSON: what was read, with hashes
  // Noise of one step: recorded rows if the data has them (`used` counts those taken), otherwise drawn.
  // Fault::usage for recorded rows with a clock: they come from the host.
  std::unique_ptr<Noise> noise(int64_t& used, uint64_t seed, uint32_t step,
                               const uint32_t* clock = nullptr) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline constexpr int64_t kExamplesAtOnce = 100;  // that a verb reads and a model takes

// The examples of the recipe's data by their numbers: not flipped, not augmented, cut from the middle.
class Examples {
 public:
  explicit Examples(const Recipe& recipe);
  int64_t size() const { return size_; }
  Batch get(const std::vector<int64_t>& numbers) const;
  Batch range(int64_t begin, int64_t end) const;  // in their own order; after the last comes the first again
  Batch draw(int64_t count, Key key) const;       // with replacement

 private:
  std::shared_ptr<const Dataset> data_;
  Dtype dtype_;
  Device device_;
  int64_t size_;
};

// The recipe of examples that are not trained on: CIFAR-10's test_batch.bin, where it lies in its folder;
// procedural pictures of another seed; otherwise nothing.
std::optional<Recipe> held_out(const Recipe& recipe);

// Noise numbered by (seed, step, draw), made on `device`. clock: Key::clock (kernels/philox.h).
std::unique_ptr<Noise> drawn_noise(uint64_t seed, uint32_t step, Device device,
                                   const uint32_t* clock = nullptr);
