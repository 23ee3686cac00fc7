// The images that a trained run makes, as image sets that can be measured.
#pragma once
#include <memory>

#include "data/sets/image_set.h"
#include "train/run/trained.h"

namespace dae {

// Returns `count` samples, which are drawn when they are read. They equal those of `dae sample RUN --count`.
// Throws Fault::usage for a run that makes no images (check_makes_images).
std::unique_ptr<ImageSet> samples_of(Trained run, int64_t count);

// Returns the first `count` images of a recipe's data in their own order, unchanged. Throws Fault::usage if
// there are fewer.
std::unique_ptr<ImageSet> data_of(const Recipe& recipe, int64_t count);

// Images and their reconstructions, in the same order.
struct Reconstructed {
  std::unique_ptr<ImageSet> originals, reconstructions;
};
// Returns the first `count` examples of the run's data (0: all of them) and their reconstructions. Throws
// Fault::usage if there are fewer, or if the run makes no reconstructions (check_makes_images).
Reconstructed reconstructions_of(const Trained& run, int64_t count);

}  // namespace dae
