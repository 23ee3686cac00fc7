// The paper's toy study (section 6.1): which sizes of encoder and decoder keep 8 Gaussian clusters apart.
// Each run is the run of a recipe, the same as `dae train toy` (train/recipes/toy.toml).
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "train/learners/learner.h"

namespace dae {

// One way to train the toy VAE. With dae, the encoder first trains with a decoder of half the width for half
// the steps. Then the encoder is frozen, and a fresh full decoder learns from the posterior means alone.
struct ToyConfig {
  std::string name;  // "VAE (64,128)"
  int64_t encoder_hidden = 128, decoder_hidden = 128;
  bool dae = false;
};
// Returns the four configurations of the paper's table.
const std::vector<ToyConfig>& toy_configs();

struct ToyAccuracy {
  double latent = 0, reconstruction = 0;  // accuracy of 1-NN, in [0, 1]
};
struct ToyPoints {  // latent means of the test points, (1000, z_dim), and their clusters
  std::vector<float> latent;
  std::vector<int32_t> label;
};
// Trains a recipe of kind toy and returns its accuracies (judge_toy). The result depends on the recipe alone.
ToyAccuracy train_toy(const Recipe& recipe, ToyPoints* points = nullptr);
// Classifies 1000 test points of the recipe's mixture by their nearest training point and returns the
// accuracies. Latent means are compared with latent means, reconstructions with the training data.
ToyAccuracy judge_toy(Learner& trained, const Recipe& recipe, ToyPoints* points = nullptr);

struct ToyResult {
  ToyConfig config;
  double weight = 0;
  std::vector<ToyAccuracy> runs;  // one per seed
  ToyPoints points = {};          // of the first seed
};

struct ToyOptions {
  Recipe recipe = load_recipe("toy");  // the study sets sizes, schedule, weight and seed
  int64_t seeds = 10;
  uint64_t master = 0;  // run r has the same seed, drawn from (master, r), in every configuration
  std::vector<double> weights = {};    // every configuration is trained at each weight
  std::function<bool()> stopped = {};  // called between runs; true: skip the remaining runs
};

// Trains every configuration at every weight and returns the results, weight by weight. Runs go in parallel.
std::vector<ToyResult> toy_study(const ToyOptions& options);

}  // namespace dae
