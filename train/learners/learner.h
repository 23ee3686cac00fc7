// What the training loop trains: a model with its losses and optimizers behind one small interface.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/ops.h"
#include "engine/optimizer.h"
#include "train/feed/batch.h"
#include "train/recipe/recipe.h"

namespace dae {

using Metrics = std::vector<std::pair<std::string, double>>;  // "loss_d", ... in the order they are logged
using Losses = std::vector<std::pair<std::string, Tensor>>;   // the same as scalars on the device
Metrics read(const Losses& losses);                           // copies them to the host; waits for the device

using NamedTensors = std::map<std::string, Tensor>;

// A model in training. Methods that return images or latents return an empty tensor where the model lacks the
// network for it. Those methods run in eval mode and record no gradients.
class Experiment {
 public:
  virtual ~Experiment() = default;
  // Returns the shape of an example: (H, W, C) or (D).
  virtual std::vector<int64_t> example_shape() const = 0;
  // Takes one training step on x, (N, H, W, C) or (N, D), a batch as Batch::x (feed.h) describes it. Every
  // optimizer steps once. Returns the losses.
  virtual Losses step(const Tensor& x, Noise& noise) = 0;
  // Sets the factor on the learning rate of every optimizer, from the next step on.
  void set_lr_factor(double factor);
  // Returns generated images (count, H, W, C) in [-1, 1], or vectors (count, D).
  virtual Tensor sample(int64_t count, Noise& noise) = 0;
  // Returns the latents (N, z_dim) of x: the posterior mean, or SimCLR's normalised projection.
  virtual Tensor encode(const Tensor& x) = 0;
  // Returns the reconstruction of x from encode(x), in the shape of x.
  virtual Tensor reconstruct(const Tensor& x) = 0;
  // Returns what the decoder makes of the latents: decode(encode(x)) is reconstruct(x).
  virtual Tensor decode(const Tensor&) { return {}; }
  // Returns the features (N, D) that a probe classifies by nearest neighbours.
  virtual Tensor features(const Tensor& x) { return encode(x); }
  // The model's networks as functions in eval mode, to compare them with another framework's.
  // inputs() returns the name and the example's shape of each input.
  virtual std::vector<std::pair<std::string, std::vector<int64_t>>> inputs() const {
    return {{"x", example_shape()}};
  }
  // Returns every output that follows from the inputs in `in`, row by row. An output is named by its network
  // ("encoder.mu"). Images are (N, H, W, C).
  virtual NamedTensors forward(const NamedTensors& in) { return {{"encoding", encode(in.at("x"))}}; }
  virtual std::vector<Param*> state() = 0;  // returns weights and buffers under their names in a file
  // Returns the optimizers by name ("generator", "discriminator"). Their moments are part of a checkpoint.
  virtual std::vector<std::pair<std::string, AdamW*>> optimizers() = 0;
  // Begins stage 2 of the DAE schedule: freezes the encoder's group. A decoder that was weak by width is
  // rebuilt at full width with its group; one that was weak by dropout goes on without dropout. Throws
  // Fault::usage for a model without an encoder or a decoder.
  virtual void enter_stage_two() = 0;
  int stage = 1;
};

// While an Averages lives, its experiment computes with the moving averages of its weights. Groups that are
// frozen, or that keep no averages (optimizer.ema is 0), compute with the weights. Buffers stay as they are:
// running statistics have no average.
class Averages {
 public:
  explicit Averages(Experiment& experiment) : experiment_(experiment) { exchange(); }
  ~Averages() { exchange(); }
  Averages(const Averages&) = delete;

 private:
  void exchange();
  Experiment& experiment_;
};

// Returns the experiment of a recipe, with initial weights drawn from recipe.seed. stage 2: the model as it
// is after the switch; a checkpoint of stage 2 is loaded into it. Throws Fault::usage if the recipe's device
// cannot compute in its dtype.
std::unique_ptr<Experiment> make_experiment(const Recipe& recipe, int stage = 1);

// Returns the number of steps of stage 1; -1 where the schedule has no stage 2.
int64_t switch_step(const Recipe& recipe);
// Returns the factor on the learning rates at `step`, counted from 0. stage_two: the step at which stage 2
// began; -1 in stage 1.
double lr_factor(const Recipe& recipe, int64_t step, int64_t stage_two);

}  // namespace dae
