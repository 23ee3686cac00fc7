// An encoder and a generator of 32x32 images. A VAE learns from pixels; a VAEGAN (vaegan.cpp) also from a
// discriminator.
#pragma once
#include <memory>

#include "models/vaegan.h"
#include "train/learners/dae.h"
#include "train/learners/registry.h"

namespace dae {

struct VaeSettings : SettingsOf<VaeSettings> {
  int64_t z_dim = 128;
  double width = 1;           // factor on every hidden channel count of encoder and generator
  double kl = 1;              // weight of the KL term
  double reconstruction = 1;  // weight of the mean of (x - xhat)^2
  std::vector<RecipeKey> keys() override {
    return {{"model.z_dim", &z_dim, kPositive},
            {"model.width", &width, kWidth},
            {"loss.kl", &kl, kWeight},
            {"loss.reconstruction", &reconstruction, kWeight}};
  }
};

// What both have in common: the networks, their optimizer, and everything but the step.
class ImageAutoencoder : public Learner,
                         public CanGenerate,
                         public CanEncode,
                         public CanDecode,
                         public Decoupled {
 public:
  std::vector<int64_t> example_shape() const override { return {32, 32, 3}; }
  int64_t recording() const override { return stage(); }
  CanGenerate* generator() override { return this; }
  CanEncode* encoder() override { return this; }
  CanDecode* decoder() override { return this; }
  Decoupled* decoupled() override { return this; }
  Tensor generate(int64_t count, Noise& noise) override;
  Tensor encode(const Tensor& x) override;
  Tensor decode(const Tensor& z) override;
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputs() const override;
  NamedTensors forward(const NamedTensors& in) override;
  std::vector<Param*> state() override;
  std::vector<std::pair<std::string, AdamW*>> optimizers() override;

 protected:
  // Makes the encoder. The weights of what follows are drawn from init_ in the order in which it is made: a
  // VAEGAN's discriminator, then the generator.
  ImageAutoencoder(const Recipe& recipe, int64_t z_dim, double width);
  void make_generator();

  std::shared_ptr<void> replace_decoder(Rng& init, const Strength& strength) override;
  Weakness& decoder_weakness() override { return generator_->weak; }
  Module& encoder_module() override { return encoder_; }
  std::vector<Param*> decoder_params() override { return generator_->params(); }
  const char* decoder_group() const override { return "generator"; }
  AdamW& autoencoder_optimizer() override { return optimizer_; }

  int64_t z_dim_;
  double width_;
  Dtype dtype_;
  Rng init_;
  vaegan::Encoder encoder_;
  std::unique_ptr<dcgan::Generator> generator_;
  AdamW optimizer_;
};

}  // namespace dae
