// What a trained run makes, as a set of images to be measured.
#pragma once
#include <memory>

#include "data/image_set.h"
#include "train/trained.h"

// What makes no images is refused (check_makes_images).
// `count` samples, drawn as they are read; those of `dae sample RUN --count`.
std::unique_ptr<ImageSet> samples_of(Trained run, int64_t count);

// The first `count` images of a recipe's data as they are, in their own order. Fault::usage if there are
// fewer, here and below.
std::unique_ptr<ImageSet> data_of(const Recipe& recipe, int64_t count);

// The first `count` examples of the run's data (0: all of it) and their
// reconstructions.
struct Reconstructed {
  std::unique_ptr<ImageSet> originals, reconstructions;
};
Reconstructed reconstructions_of(const Trained& run, int64_t count);
