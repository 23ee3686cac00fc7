// A run after its training: the model of one of its checkpoints.
#pragma once
#include <functional>
#include <optional>

#include "train/checkpoint.h"

struct Trained {
  Recipe recipe;
  Progress at;
  std::unique_ptr<Experiment> experiment;
  std::string folder;
  std::unique_ptr<Averages> averages = {};  // null: it computes with the weights
};

// RUN (its last checkpoint) or RUN@STEP. sets: changes to its recipe, e.g. of the data. It computes with the
// averages of its weights where the run keeps them, unless `raw`.
Trained load_trained(const std::string& run_at_step, Device device, const std::vector<std::string>& sets = {},
                     bool raw = false);

// Fault::usage, one line, if the run's model makes no images: of another kind of data, without a generator,
// or, for reconstructions, without an encoder and a decoder. It tries the model on one image.
void check_makes_images(const Trained& run, bool reconstructions);

inline constexpr int64_t kSamplesAtOnce = 100;  // images drawn at a time: fixes which noise an image gets

// Reconstructs the first `count` examples of the recipe's data, in their own order and not flipped. Returns
// the mean squared error of a value, nothing for a model without an encoder; calls f, if given, with each
// batch and its reconstruction.
std::optional<double> reconstruct_data(const Trained& run, int64_t count,
                                       const std::function<void(const Tensor& x, const Tensor& y)>& f = {});
