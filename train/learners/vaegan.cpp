// VAEGAN (Larsen et al. 2016): a VAE whose generator also faces a discriminator, in whose features the
// reconstruction is compared.
#include "models/losses.h"
#include "train/learners/dcgan.h"
#include "train/learners/vae.h"

namespace dae {

namespace {

struct VaeganSettings : SettingsOf<VaeganSettings> {
  int64_t z_dim = 128;
  double width = 1;                // factor on every hidden channel count of encoder and generator
  double discriminator_width = 1;  // the same factor for the discriminator
  int64_t generator_passes =
      2;          // 2: posterior and prior latents are decoded in separate passes; 1: in one batch
  double kl = 1;  // weight of the KL term
  double reconstruction = 0;           // weight of the mean of (x - xhat)^2, in encoder and generator
  double feature = 1;                  // weight of the discriminator's features in the encoder's loss
  double feature_generator = 1;        // the same in the generator's loss
  double adversarial = 1;              // weight of the adversarial term in the generator's loss
  double balance = 0;                  // margin of Larsen's rule (models/losses.h); 0: both always learn
  std::string discriminator = "keep";  // "keep", or "fresh": stage 2 makes a new discriminator
  std::vector<RecipeKey> keys() override {
    return {
        {"model.z_dim", &z_dim, kPositive},
        {"model.width", &width, kWidth},
        {"model.discriminator_width", &discriminator_width, kWidth},
        {"model.generator_passes", &generator_passes, {"1 or 2", [](double v) { return v == 1 || v == 2; }}},
        {"loss.kl", &kl, kWeight},
        {"loss.reconstruction", &reconstruction, kWeight},
        {"loss.feature", &feature, kWeight},
        {"loss.feature_generator", &feature_generator, kWeight},
        {"loss.adversarial", &adversarial, kWeight},
        {"loss.balance", &balance, kWeight},
        {"schedule.discriminator", &discriminator, {"keep|fresh"}, {{"schedule.kind", "dae"}}}};
  }
  // Before loss.balance there was no pixel term in a VAEGAN; its runs wrote loss.reconstruction = 1 and did
  // not use it.
  void upgrade(const std::function<bool(const char*)>& says) override {
    if (!says("loss.balance")) reconstruction = 0;
  }
};

class Vaegan : public ImageAutoencoder {
 public:
  Vaegan(const Recipe& r, const VaeganSettings& settings)
      : ImageAutoencoder(r, settings.z_dim, settings.width),
        own_(settings),
        discriminator_optimizer_(adam_options(r, "discriminator")) {
    make_discriminator(init_);
    discriminator_optimizer_.add_group(group(r, "discriminator", "discriminator", discriminator_->params()));
    make_generator();
  }

  Losses step(const Batch& batch, const StepContext& context) override {
    const Tensor& x = batch.x;
    Noise& noise = context.noise;
    const auto masks = [&] { return noise.key(); };
    const bool joint = stage() == 1;
    const auto [mu, logvar] = encoder_(x);
    const auto [z, kl] = joint ? noise.sample(mu, logvar) : NormalSample{mu, {}};
    const Tensor prior = noise.normal({x.dim(0), z_dim_}, dtype_);
    const auto [xhat, xp] = generate_both(z, prior, masks);

    // Discriminator: x, xhat and x_p go in separate passes, so that batch statistics are of one kind.
    const Tensor real = bce_with_logits((*discriminator_)(x).logits, 1);
    const Tensor false_rec = bce_with_logits((*discriminator_)(xhat.detach()).logits, 0);
    const Tensor false_prior = bce_with_logits((*discriminator_)(xp.detach()).logits, 0);
    const Tensor generated = 0.5 * (false_rec + false_prior), loss_d = real + generated;
    if (own_.balance > 0) {
      const Balance learns = balance(real.detach(), generated.detach(), own_.balance);
      discriminator_optimizer_.group("discriminator").gate = learns.discriminator;
      optimizer_.group("generator").gate = learns.generator;
    }
    backward(discriminator_optimizer_.scaled(loss_d), discriminator_optimizer_.trainable());
    discriminator_optimizer_.step();

    // Encoder and generator: each has its own loss, computed with the updated discriminator.
    Tensor target;
    {
      NoGrad off;
      target = (*discriminator_)(x).features;
    }
    const auto rec = (*discriminator_)(xhat);
    const auto drawn = (*discriminator_)(xp);
    const Tensor feature = mse_loss(target, rec.features);
    const Tensor adversarial = 0.5 * (bce_with_logits(rec.logits, 1) + bce_with_logits(drawn.logits, 1));
    const VaeganSettings& w = own_;
    const bool pixels = w.reconstruction > 0;  // otherwise the error is only logged
    const Tensor error = mse_loss(pixels ? xhat : xhat.detach(), x);
    Tensor loss_g = scale(feature, w.feature_generator) + scale(adversarial, w.adversarial);
    if (pixels) loss_g = loss_g + scale(error, w.reconstruction);
    Losses losses = {{"loss_d", loss_d.detach()},
                     {"loss_g", loss_g.detach()},
                     {"loss_feature", feature.detach()},
                     {"loss_adversarial", adversarial.detach()},
                     {"loss_rec", error.detach()}};
    if (joint) {
      Tensor loss_e = scale(kl, w.kl) + scale(feature, w.feature);
      if (pixels) loss_e = loss_e + scale(error, w.reconstruction);
      losses.push_back({"loss_e", loss_e.detach()});
      losses.push_back({"loss_kl", kl.detach()});
      backward(optimizer_.scaled(loss_e), optimizer_.group("encoder").params, {true, {}});
    }
    backward(optimizer_.scaled(loss_g), optimizer_.group("generator").params);
    optimizer_.step();
    return losses;
  }

  NamedTensors forward(const NamedTensors& in) override {
    NamedTensors out = ImageAutoencoder::forward(in);
    evaluate(*discriminator_, in, out);
    return out;
  }
  std::vector<Param*> state() override {
    std::vector<Param*> all = ImageAutoencoder::state(), more = discriminator_->state();
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<std::pair<std::string, AdamW*>> optimizers() override {
    return {{"autoencoder", &optimizer_}, {"discriminator", &discriminator_optimizer_}};
  }

 protected:
  void also_at_the_switch() override {
    if (own_.discriminator != "fresh") return;
    Rng fresh(recipe_.seed, kSecondDiscriminatorStep);
    const auto old = std::move(discriminator_);  // its parameters are keys of the optimizer until the rebuild
    make_discriminator(fresh);
    discriminator_optimizer_.rebuild("discriminator", discriminator_->params());
  }

 private:
  // Returns the images of two latents of one shape. Separate passes keep the batch statistics of one kind.
  std::pair<Tensor, Tensor> generate_both(const Tensor& z, const Tensor& prior, const Masks& masks) {
    if (own_.generator_passes == 2) {
      Tensor xhat = (*generator_)(z, masks);  // a statement of its own: the order of the passes
      return {xhat, (*generator_)(prior, masks)};
    }
    const std::vector<Tensor> halves = split((*generator_)(concat({z, prior}, 0), masks), 0, 2);
    return {halves[0], halves[1]};
  }
  void make_discriminator(Rng& init) {
    discriminator_ = std::make_unique<dcgan::Discriminator>(Build{dtype_, &init, recipe_.device},
                                                            own_.discriminator_width);
    discriminator_->name_params("discriminator");
  }
  VaeganSettings own_;
  std::unique_ptr<dcgan::Discriminator> discriminator_;
  AdamW discriminator_optimizer_;
};

}  // namespace

LearnerKind vaegan_kind() {
  LearnerKind kind;
  kind.name = "vaegan";
  kind.settings = []() -> std::unique_ptr<Settings> { return std::make_unique<VaeganSettings>(); };
  kind.decoupled = true;
  kind.optimizers = {"autoencoder", "discriminator"};
  kind.make = [](const Recipe& r) -> std::unique_ptr<Learner> {
    return std::make_unique<Vaegan>(r, own<VaeganSettings>(r));
  };
  return kind;
}

}  // namespace dae
