#include "train/learners/vae.h"

namespace dae {

ImageAutoencoder::ImageAutoencoder(const Recipe& recipe, int64_t z_dim, double width)
    : Decoupled(recipe),
      z_dim_(z_dim),
      width_(width),
      dtype_(dtype_from(recipe.dtype)),
      init_(recipe.seed, kInitStep),
      encoder_(Build{dtype_, &init_, recipe.device}, z_dim, width),
      optimizer_(adam_options(recipe, "autoencoder")) {
  encoder_.name_params("encoder");
}

void ImageAutoencoder::make_generator() {
  replace_decoder(init_, first_strength(recipe_));
  optimizer_.add_group(group(recipe_, "autoencoder", "encoder", encoder_.params()));
  optimizer_.add_group(group(recipe_, "autoencoder", "generator", generator_->params()));
}

std::shared_ptr<void> ImageAutoencoder::replace_decoder(Rng& init, const Strength& strength) {
  std::shared_ptr<void> old = std::move(generator_);
  generator_ = std::make_unique<dcgan::Generator>(Build{dtype_, &init, recipe_.device}, z_dim_,
                                                  width_ * strength.width, strength.weakness);
  generator_->name_params("generator");
  return old;
}

Tensor ImageAutoencoder::generate(int64_t count, Noise& noise) {
  return decode(noise.normal({count, z_dim_}, dtype_));
}
Tensor ImageAutoencoder::encode(const Tensor& x) {
  const NoGrad off;
  const EvalMode eval(encoder_);
  return encoder_(x).mu;
}
Tensor ImageAutoencoder::decode(const Tensor& z) {
  const NoGrad off;
  const EvalMode eval(*generator_);
  return (*generator_)(z);
}

std::vector<std::pair<std::string, std::vector<int64_t>>> ImageAutoencoder::inputs() const {
  return {{"x", example_shape()}, {"z", {z_dim_}}};
}
NamedTensors ImageAutoencoder::forward(const NamedTensors& in) {
  NamedTensors out;
  if (in.contains("z")) out["generator"] = decode(in.at("z"));
  if (in.contains("x")) {
    const NoGrad off;
    const EvalMode eval(encoder_);
    const auto [mu, logvar] = encoder_(in.at("x"));
    out["encoder.mu"] = mu, out["encoder.logvar"] = logvar;
    out["reconstruction"] = decode(mu);
  }
  return out;
}

std::vector<Param*> ImageAutoencoder::state() {
  std::vector<Param*> all = encoder_.state(), more = generator_->state();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}
std::vector<std::pair<std::string, AdamW*>> ImageAutoencoder::optimizers() {
  return {{"autoencoder", &optimizer_}};
}

namespace {

// loss = reconstruction * mean (x - xhat)^2 + kl * KL, in stage 2 without the KL term and from the posterior
// mean.
class Vae : public ImageAutoencoder {
 public:
  explicit Vae(const Recipe& r)
      : ImageAutoencoder(r, own<VaeSettings>(r).z_dim, own<VaeSettings>(r).width), own_(own<VaeSettings>(r)) {
    make_generator();
  }
  Losses step(const Batch& batch, const StepContext& context) override {
    Noise& noise = context.noise;
    const auto [mu, logvar] = encoder_(batch.x);
    const auto [z, kl] = stage() == 1 ? noise.sample(mu, logvar) : NormalSample{mu, {}};
    const Tensor error = mse_loss((*generator_)(z, [&] { return noise.key(); }), batch.x);
    Tensor loss = scale(error, own_.reconstruction);
    if (stage() == 1) loss = loss + scale(kl, own_.kl);
    Losses losses = {{"loss", loss.detach()}, {"loss_rec", error.detach()}};
    if (stage() == 1) losses.push_back({"loss_kl", kl.detach()});
    backward(optimizer_.scaled(loss), optimizer_.trainable());
    optimizer_.step();
    return losses;
  }

 private:
  VaeSettings own_;
};

}  // namespace

LearnerKind vae_kind() {
  LearnerKind kind;
  kind.name = "vae";
  kind.settings = []() -> std::unique_ptr<Settings> { return std::make_unique<VaeSettings>(); };
  kind.decoupled = true;
  kind.optimizers = {"autoencoder"};
  kind.make = [](const Recipe& r) -> std::unique_ptr<Learner> { return std::make_unique<Vae>(r); };
  return kind;
}

}  // namespace dae
