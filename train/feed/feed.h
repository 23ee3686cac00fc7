// The inputs of a training step: batches of the recipe's data as tensors, and noise.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "train/feed/batch.h"
#include "train/recipe/recipe.h"

namespace dae {

class Feed {
 public:
  // Opens the recipe's data after `batches_taken` batches, so that a resumed run goes on where it stopped.
  Feed(const Recipe& recipe, int64_t batches_taken);
  ~Feed();
  std::vector<int64_t> example_shape() const;  // returns the shape of x without B
  // Returns at most the first 32 examples, unchanged: the same images in every picture.
  Batch first() const;
  Batch next();
  double wait() const;           // returns the seconds that next() has waited for data
  std::string skipped() const;   // returns the files that are not read (data/sets/dataset.h)
  std::string manifest() const;  // returns JSON: what was read, with hashes
  // Returns the noise of one step. If the data has recorded rows, it takes those and adds their number to
  // `used`; otherwise it draws. clock: Key::clock (kernels/device/philox.h). Throws Fault::usage for recorded
  // rows with a clock, because the rows come from the host.
  std::unique_ptr<Noise> noise(int64_t& used, uint64_t seed, uint32_t step,
                               const uint32_t* clock = nullptr) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline constexpr int64_t kExamplesAtOnce = 100;  // examples that a verb reads and a model takes at a time

// Access to the recipe's data by the number of an example. Images are not flipped and not augmented; a crop
// is in the middle.
class Examples {
 public:
  explicit Examples(const Recipe& recipe);
  int64_t size() const { return size_; }
  Batch get(const std::vector<int64_t>& numbers) const;
  // Returns the examples begin .. end - 1 in their own order. After the last example comes the first again.
  Batch range(int64_t begin, int64_t end) const;
  Batch draw(int64_t count, Key key) const;  // returns a random draw with replacement

 private:
  std::shared_ptr<const Dataset> data_;
  Dtype dtype_;
  Device device_;
  int64_t size_;
};

// Returns the recipe of examples that are not trained on: data.validation where it is given; CIFAR-10's
// test_batch.bin where it lies in the folder; procedural pictures of another seed; otherwise nothing.
std::optional<Recipe> held_out(const Recipe& recipe);

}  // namespace dae
