// Reconstruction errors that need no training, to compare a trained model with: mean squared errors of a
// value.
#pragma once
#include "engine/tensor.h"
#include "train/recipe/recipe.h"

namespace dae {

struct Baselines {
  double grey = 0;         // every value replaced by one grey
  double mean_colour = 0;  // each image replaced by its mean colour: 3 numbers
  double pca = 0;          // projection onto the first `latents` principal components of the training images
};

// Returns the baselines of the first `images` images of `judged`. PCA is fitted to at most the first 2,000
// images of `trained_on`.
Baselines measure_baselines(const Recipe& trained_on, const Recipe& judged, int64_t images, int64_t latents);

// Returns the mean squared error of the rows `judged` (M, D) projected onto the first k principal components
// of `fitted` (N, D). Orthogonal iteration finds the components. The result, in f32, is the same for any
// number of threads.
double pca_error(const Tensor& fitted, const Tensor& judged, int64_t k);

}  // namespace dae
