// What it takes to beat: errors of reconstructions that need no training, as mean squared error of a value.
#pragma once
#include "engine/tensor.h"
#include "train/recipe.h"

struct Baselines {
  double grey = 0;         // one grey for all images
  double mean_colour = 0;  // each image as its own mean colour: 3 numbers
  double pca = 0;          // the `latents` directions of most variance of the training images
};

// Of the first `images` of `judged`; PCA is fitted to the first 2,000 at most of `trained_on`.
Baselines measure_baselines(const Recipe& trained_on, const Recipe& judged, int64_t images, int64_t latents);

// The mean squared error of rows `judged` (M, D) projected onto the k directions of most variance of `fitted`
// (N, D), which are found by orthogonal iteration. f32, the same for any number of threads.
double pca_error(const Tensor& fitted, const Tensor& judged, int64_t k);
