// The toy study of the paper (section 6.1): which encoder and decoder sizes keep 8 Gaussian clusters apart.
// Each of its runs is the run of a recipe, as `dae train toy` makes it (train/recipes/toy.toml).
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "train/experiment.h"

// One way to train the toy VAE. With dae, a decoder of half the width trains beside the encoder for half the
// steps; then the encoder is frozen and a fresh full decoder learns from the posterior means alone.
struct ToyConfig {
  std::string name;  // "VAE (64,128)"
  int64_t encoder_hidden = 128, decoder_hidden = 128;
  bool dae = false;
};
const std::vector<ToyConfig>& toy_configs();  // the four of the paper's table

struct ToyAccuracy {
  double latent = 0, reconstruction = 0;  // 1-NN, in [0, 1]
};
struct ToyPoints {  // latent means of the test points, (1000, z_dim), and their clusters
  std::vector<float> latent;
  std::vector<int32_t> label;
};
// Trains a recipe of kind toy. Depends on the recipe alone.
ToyAccuracy train_toy(const Recipe& recipe, ToyPoints* points = nullptr);
// Classifies 1000 test points of the recipe's mixture by their nearest training point: the latent means among
// latent means, the reconstructions among the training data.
ToyAccuracy judge_toy(Experiment& trained, const Recipe& recipe, ToyPoints* points = nullptr);

struct ToyResult {
  ToyConfig config;
  double weight = 0;
  std::vector<ToyAccuracy> runs;  // by seed
  ToyPoints points = {};          // of the first
};

struct ToyOptions {
  Recipe recipe = load_recipe("toy");  // the study sets sizes, schedule, weight and seed
  int64_t seeds = 10;
  uint64_t master = 0;               // run r of every configuration has the same data, drawn from (master, r)
  std::vector<double> weights = {};  // every configuration is trained at each
  std::function<bool()> stopped = {};  // asked between runs: true leaves the rest out
};

// Every configuration at every weight, weights outermost; runs go in parallel.
std::vector<ToyResult> toy_study(const ToyOptions& options);
