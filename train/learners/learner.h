// What the training loop trains: a model with its losses and optimizers behind one small interface. What a
// model can do beyond training stands in interfaces of its own (CanGenerate, CanEncode, CanDecode,
// Decoupled); a null pointer says that it cannot.
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

// What a step needs besides its batch.
struct StepContext {
  Noise& noise;
  int64_t step;  // the number of this step, from 1
};

// It draws examples from noise. Eval mode, no gradients.
class CanGenerate {
 public:
  // Returns generated images (count, H, W, C) in [-1, 1], or vectors (count, D).
  virtual Tensor generate(int64_t count, Noise& noise) = 0;

 protected:
  ~CanGenerate() = default;
};

// It maps examples to latents. Eval mode, no gradients.
class CanEncode {
 public:
  // Returns the latents (N, z_dim) of x: the posterior mean, or SimCLR's normalised projection.
  virtual Tensor encode(const Tensor& x) = 0;
  // Returns the features (N, D) that a probe classifies by nearest neighbours.
  virtual Tensor features(const Tensor& x) { return encode(x); }

 protected:
  ~CanEncode() = default;
};

// It maps latents to examples. Eval mode, no gradients.
class CanDecode {
 public:
  // Returns what the decoder makes of the latents (N, z_dim).
  virtual Tensor decode(const Tensor& z) = 0;

 protected:
  ~CanDecode() = default;
};

class Decoupled;  // the model has a weak decoder and a second stage (dae.h)

class Learner {
 public:
  virtual ~Learner() = default;
  // Returns the shape of an example: (H, W, C) or (D).
  virtual std::vector<int64_t> example_shape() const = 0;
  // Takes one training step. Every optimizer steps once. Returns the losses.
  virtual Losses step(const Batch& batch, const StepContext& context) = 0;
  // Returns a number that changes when the kernels of a step change, so that a captured step is recorded
  // anew.
  virtual int64_t recording() const { return 0; }
  virtual std::vector<Param*> state() = 0;  // returns weights and buffers under their names in a file
  // Returns the optimizers by name ("generator", "discriminator"). Their moments are part of a checkpoint.
  virtual std::vector<std::pair<std::string, AdamW*>> optimizers() = 0;
  void set_lr_factor(double factor);  // sets it on the rate of every optimizer, from the next step on

  virtual CanGenerate* generator() { return nullptr; }
  virtual CanEncode* encoder() { return nullptr; }
  virtual CanDecode* decoder() { return nullptr; }
  virtual Decoupled* decoupled() { return nullptr; }

  // The model's networks as functions in eval mode, to compare them with another framework's.
  // inputs() returns the name and the example's shape of each input.
  virtual std::vector<std::pair<std::string, std::vector<int64_t>>> inputs() const {
    return {{"x", example_shape()}};
  }
  // Returns every output that follows from the inputs in `in`, row by row. An output is named by its network
  // ("encoder.mu"). Images are (N, H, W, C).
  virtual NamedTensors forward(const NamedTensors& in) = 0;
};

// Returns the reconstruction of x, in the shape of x, or an undefined tensor where encoder or decoder is
// missing.
Tensor reconstruct(Learner& learner, const Tensor& x);

// While an Averages lives, its learner computes with the moving averages of its weights. Groups that are
// frozen, or that keep no averages (optimizer.ema is 0), compute with the weights. Buffers stay as they are:
// running statistics have no average.
class Averages {
 public:
  explicit Averages(Learner& learner) : learner_(learner) { exchange(); }
  ~Averages() { exchange(); }
  Averages(const Averages&) = delete;

 private:
  void exchange();
  Learner& learner_;
};

}  // namespace dae
