// The toy study of the paper (section 6.1): which encoder and decoder sizes keep 8 Gaussian clusters apart.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/toy.h"

// One way to train the toy VAE. With dae, a decoder of half the width trains beside the encoder for half the
// epochs; then the encoder is frozen and a fresh full decoder learns from the posterior means alone.
struct ToyConfig {
  std::string name;  // "VAE (64,128)"
  int64_t encoder_hidden = 128, decoder_hidden = 128;
  bool dae = false;
};

// Loss: weight * |x - xhat|^2 + KL, sums over dimensions, means over the batch. Adam, 1e-3.
struct ToyBudget {
  int64_t train = 4000, test = 1000, epochs = 30, batch = 128;
};

struct ToyAccuracy {
  double latent = 0, reconstruction = 0;  // 1-NN, in [0, 1]
};

// Trains one configuration from one seed and classifies the test points by their nearest training point: the
// latent means among latent means, the reconstructions among the training data. Depends on its arguments
// alone.
ToyAccuracy train_toy(const ToyConfig& config, const ToySpec& spec, const ToyBudget& budget, double weight,
                      uint64_t seed);

struct ToyResult {
  ToyConfig config;
  double weight = 0;
  std::vector<ToyAccuracy> runs;  // by seed
};

struct ToyOptions {
  ToySpec spec;
  ToyBudget budget;
  int64_t seeds = 10;
  uint64_t master = 0;          // run r of every configuration has the same data, drawn from (master, r)
  std::vector<double> weights;  // every configuration is trained at each
};

// The four configurations of the paper's table.
const std::vector<ToyConfig>& toy_configs();

// Every configuration at every weight, weights outermost; runs go in parallel.
std::vector<ToyResult> toy_study(const ToyOptions& options);
