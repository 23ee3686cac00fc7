// DCGAN on 32x32 images, with latents that a derived learner may choose.
#pragma once
#include "models/dcgan.h"
#include "train/learners/registry.h"

namespace dae {

struct DcganSettings : SettingsOf<DcganSettings> {
  int64_t z_dim = 128;
  double width = 1;                // factor on the generator's hidden channels
  double discriminator_width = 1;  // the same factor for the discriminator
  std::vector<RecipeKey> keys() override {
    return {{"model.z_dim", &z_dim, kPositive},
            {"model.width", &width, kWidth},
            {"model.discriminator_width", &discriminator_width, kWidth}};
  }
};

// Adds the discriminator's outputs for in["x"] to those of a model's forward().
void evaluate(dcgan::Discriminator& discriminator, const NamedTensors& in, NamedTensors& out);

class Dcgan : public Learner, public CanGenerate {
 public:
  Dcgan(const Recipe& recipe, const DcganSettings& settings);
  std::vector<int64_t> example_shape() const override { return {32, 32, 3}; }
  Losses step(const Batch& batch, const StepContext& context) override;
  CanGenerate* generator() override { return this; }
  Tensor generate(int64_t count, Noise& noise) override;
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputs() const override;
  NamedTensors forward(const NamedTensors& in) override;
  std::vector<Param*> state() override;
  std::vector<std::pair<std::string, AdamW*>> optimizers() override;

 protected:
  struct Latents {
    Tensor discriminator, generator;  // (B, z_dim), (2B, z_dim): what a step on B images generates from
  };
  virtual Latents latents(const Tensor& x, Noise& noise);
  Tensor images_of(const Tensor& z);  // in eval mode, without gradients

  int64_t z_dim_;
  Dtype dtype_;
  Rng init_;
  dcgan::Generator generator_;
  dcgan::Discriminator discriminator_;
  AdamW generator_optimizer_, discriminator_optimizer_;
};

}  // namespace dae
