// A trained model, loaded from a checkpoint of a run.
#pragma once
#include <functional>
#include <optional>

#include "train/run/checkpoint.h"

namespace dae {

struct Trained {
  Recipe recipe;
  Progress at;
  std::unique_ptr<Learner> learner;
  std::string folder;
  std::unique_ptr<Averages> averages = {};  // null: the model computes with its weights
};

// Loads RUN (its last checkpoint) or RUN@STEP. sets: changes to its recipe, e.g. of the data. The model
// computes with the moving averages of its weights if the run keeps them, unless `raw`. Throws what
// load_recipe(), find_checkpoint() and load_checkpoint() throw.
Trained load_trained(const std::string& run_at_step, Device device, const std::vector<std::string>& sets = {},
                     bool raw = false);

// Throws Fault::usage, one line, if the run's model makes no images: it is trained on other data, it has no
// generator, or, for reconstructions, it has no encoder or no decoder.
void check_makes_images(const Trained& run, bool reconstructions);

// The number of images drawn at a time. It decides which noise an image gets.
inline constexpr int64_t kSamplesAtOnce = 100;

// Reconstructs the first `count` examples of the recipe's data, in their own order and not flipped. Returns
// the mean squared error of a value, or nothing for a model without an encoder. Calls f, if given, with each
// batch and its reconstruction.
std::optional<double> reconstruct_data(const Trained& run, int64_t count,
                                       const std::function<void(const Tensor& x, const Tensor& y)>& f = {});

}  // namespace dae
