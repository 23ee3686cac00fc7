// What the loop trains: a model with its losses and optimizers behind one small interface.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/streams.h"
#include "engine/ops.h"
#include "engine/optimizer.h"
#include "train/recipe.h"

using Metrics = std::vector<std::pair<std::string, double>>;  // "loss_d", ... in the order they are logged
using Losses = std::vector<std::pair<std::string, Tensor>>;   // the same, still on the device
Metrics read(const Losses& losses);                           // waits for the device

// Noise of a step, in the order in which the step draws it: from the counter-based generator, or, for parity
// with another framework, rows of a recorded tensor.
class Noise {
 public:
  virtual ~Noise() = default;
  virtual Tensor normal(const Shape& shape, Dtype dtype) = 0;  // (rows, ...)
  virtual Key key() = 0;                                       // for dropout masks
  // A draw of N(mu, e^logvar), from the numbers that normal() would give.
  virtual NormalSample sample(const Tensor& mu, const Tensor& logvar) {
    return sample_normal(mu, logvar, normal(mu.shape(), mu.dtype()));
  }
};

using NamedTensors = std::map<std::string, Tensor>;

class Experiment {
 public:
  virtual ~Experiment() = default;
  virtual std::vector<int64_t> example_shape() const = 0;  // what it trains on: (H, W, C) or (D)
  // One training step on x (N, H, W, C) or (N, D), as Batch::x (feed.h) is; every optimizer steps once.
  virtual Losses step(const Tensor& x, Noise& noise) = 0;
  void set_lr_factor(double factor);  // of every optimizer, from the next step on
  // (N, H, W, C) in [-1, 1], eval mode; empty: it has no generator.
  virtual Tensor sample(int64_t count, Noise& noise) = 0;
  // The posterior mean or SimCLR's projection (N, z_dim), and the reconstruction from it, in eval mode;
  // empty: it has no encoder, or no decoder.
  virtual Tensor encode(const Tensor& x) = 0;
  virtual Tensor reconstruct(const Tensor& x) = 0;
  virtual Tensor decode(const Tensor&) { return {}; }             // encode(x) -> reconstruct(x), likewise
  virtual Tensor features(const Tensor& x) { return encode(x); }  // (N, D): what a probe judges, likewise
  // Its networks as functions in eval mode, to compare them with another framework's. What they take: name
  // and shape of an example. forward() computes all that follows from the inputs given, row by row; images
  // are (N, H, W, C), and outputs are named by their network ("encoder.mu").
  virtual std::vector<std::pair<std::string, std::vector<int64_t>>> inputs() const {
    return {{"x", example_shape()}};
  }
  virtual NamedTensors forward(const NamedTensors& in) { return {{"encoding", encode(in.at("x"))}}; }
  virtual std::vector<Param*> state() = 0;  // weights and buffers under their file names
  // Optimizers by name ("generator", "discriminator"): their moments are part of a checkpoint.
  virtual std::vector<std::pair<std::string, AdamW*>> optimizers() = 0;
  // DAE: freezes the encoder's group, rebuilds the decoder and its group (width), or turns dropout off.
  virtual void enter_stage_two() = 0;
  int stage = 1;
};

// As long as it lives, an experiment computes with the moving averages of its weights, where it keeps any
// (optimizer.ema) and the group is not frozen. Buffers stay: running statistics have no average.
class Averages {
 public:
  explicit Averages(Experiment& experiment) : experiment_(experiment) { exchange(); }
  ~Averages() { exchange(); }
  Averages(const Averages&) = delete;

 private:
  void exchange();
  Experiment& experiment_;
};

// stage 2 makes the model as it is after the switch (what a checkpoint of stage 2 is loaded into). Draws
// initial weights from recipe.seed. Fault::usage if its device cannot compute in its dtype.
std::unique_ptr<Experiment> make_experiment(const Recipe& recipe, int stage = 1);

// The schedule: how many steps stage 1 takes (-1: there is no stage 2), and the factor of the rates of a
// step, counted from 0. stage_two: the step at which stage 2 began, -1 in stage 1.
int64_t switch_step(const Recipe& recipe);
double lr_factor(const Recipe& recipe, int64_t step, int64_t stage_two);
