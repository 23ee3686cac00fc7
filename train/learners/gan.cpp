// Experiments on 32x32 images: DCGAN with Gaussian latents or with those of a SimCLR encoder, VAE and VAEGAN,
// and the DAE schedule of the last two.
#include "models/losses.h"
#include "models/vaegan.h"
#include "train/feed/feed.h"
#include "train/learners/registry.h"
#include "train/learners/upstream.h"

namespace dae {

namespace {

Group group(const Recipe& r, const std::string& name, std::vector<Param*> params) {
  return {name, std::move(params), r.optimizer.lr, r.optimizer.weight_decay};
}
void append(std::vector<Param*>& to, const Module& module) {
  const auto more = module.state();
  to.insert(to.end(), more.begin(), more.end());
}
Tensor evaluate(Generator& generator, const Tensor& z) {
  NoGrad off;
  generator.train(false);
  Tensor x = generator(z);
  generator.train(true);
  return x;
}
Discriminator::Output evaluate(Discriminator& discriminator, const Tensor& x) {
  NoGrad off;
  discriminator.train(false);
  Discriminator::Output out = discriminator(x);
  discriminator.train(true);
  return out;
}
// Adds the discriminator's outputs to those of a model's forward().
void evaluate(Discriminator& discriminator, const NamedTensors& in, NamedTensors& out) {
  if (!in.contains("x")) return;
  const auto [logits, features] = evaluate(discriminator, in.at("x"));
  out["discriminator.logits"] = logits, out["discriminator.features"] = features;
}

class Dcgan : public Experiment {
 public:
  explicit Dcgan(const Recipe& r)
      : recipe_(r),
        dtype_(dtype_from(r.dtype)),
        init_(r.seed, kInitStep),
        generator_(Build{dtype_, &init_, r.device}, r.model.z_dim, r.model.width),
        discriminator_(Build{dtype_, &init_, r.device}, r.model.discriminator_width),
        generator_optimizer_(adam_options(r)),
        discriminator_optimizer_(adam_options(r)) {
    generator_.name_params("generator");
    discriminator_.name_params("discriminator");
    generator_optimizer_.add_group(group(r, "generator", generator_.params()));
    discriminator_optimizer_.add_group(group(r, "discriminator", discriminator_.params()));
  }

  std::vector<int64_t> example_shape() const override { return {32, 32, 3}; }
  // Takes a discriminator step on B real and B generated images, in separate passes, then a generator step on
  // 2B generated images.
  Losses step(const Tensor& x, Noise& noise) override {
    const Latents z = latents(x, noise);
    Tensor fake;
    {
      NoGrad off;
      fake = generator_(z.discriminator);
    }
    // These are statements, not operands of a sum: the order of the passes decides the running statistics.
    const Tensor real_term = bce_with_logits(discriminator_(x).logits, 1);
    const Tensor fake_term = bce_with_logits(discriminator_(fake).logits, 0);
    const Tensor loss_d = real_term + fake_term;
    backward(discriminator_optimizer_.scaled(loss_d), discriminator_optimizer_.trainable());
    discriminator_optimizer_.step();

    const Tensor drawn = generator_(z.generator);
    const Tensor loss_g = bce_with_logits(discriminator_(drawn).logits, 1);
    backward(generator_optimizer_.scaled(loss_g), generator_optimizer_.trainable());
    generator_optimizer_.step();
    return {{"loss_d", loss_d.detach()}, {"loss_g", loss_g.detach()}};
  }
  Tensor sample(int64_t count, Noise& noise) override {
    return evaluate(generator_, noise.normal({count, recipe_.model.z_dim}, dtype_));
  }
  Tensor encode(const Tensor&) override { return {}; }
  Tensor reconstruct(const Tensor&) override { return {}; }
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputs() const override {
    return {{"x", example_shape()}, {"z", {recipe_.model.z_dim}}};
  }
  NamedTensors forward(const NamedTensors& in) override {
    NamedTensors out;
    if (in.contains("z")) out["generator"] = evaluate(generator_, in.at("z"));
    evaluate(discriminator_, in, out);
    return out;
  }
  std::vector<Param*> state() override {
    std::vector<Param*> all;
    append(all, generator_);
    append(all, discriminator_);
    return all;
  }
  std::vector<std::pair<std::string, AdamW*>> optimizers() override {
    return {{"generator", &generator_optimizer_}, {"discriminator", &discriminator_optimizer_}};
  }
  void enter_stage_two() override {
    fail(Fault::usage, "schedule.kind: {} has no encoder to decouple; expected \"joint\"",
         recipe_.model.kind);
  }

 protected:
  struct Latents {
    Tensor discriminator, generator;  // (B, z_dim), (2B, z_dim): the latents of a step on B images
  };
  virtual Latents latents(const Tensor& x, Noise& noise) {
    const int64_t batch = x.dim(0), z = recipe_.model.z_dim;
    const Tensor first =
        // A statement of its own: the discriminator's latents are drawn first.
        noise.normal({batch, z}, dtype_);
    return {first, noise.normal({2 * batch, z}, dtype_)};
  }
  Recipe recipe_;
  Dtype dtype_;
  Rng init_;
  Generator generator_;
  Discriminator discriminator_;
  AdamW generator_optimizer_, discriminator_optimizer_;
};

// A DCGAN whose latents are SimCLR's projections of real images: an empirical distribution instead of a
// Gaussian, and no reconstruction term. The discriminator's step generates from the batch. The generator's
// step needs twice as many latents; it generates from the batch and its mirror images, which are images of
// the data too.
class DcganSimclr : public Dcgan {
 public:
  explicit DcganSimclr(const Recipe& r) : Dcgan(r), encoder_(load_encoder(r)) {}
  Tensor encode(const Tensor& x) override {
    const NoGrad off;
    const double norm = recipe_.model.latent == "unit" ? 1 : std::sqrt(double(recipe_.model.z_dim));
    return scale(l2_normalize((*encoder_)(x).projection), norm);
  }
  Tensor reconstruct(const Tensor& x) override { return evaluate(generator_, encode(x)); }
  Tensor features(const Tensor& x) override {
    const NoGrad off;
    return (*encoder_)(x).features;
  }
  // Generates from training images drawn at random.
  Tensor sample(int64_t count, Noise& noise) override {
    if (!images_) images_ = std::make_unique<Examples>(recipe_);
    return reconstruct(images_->draw(count, noise.key()).x);
  }

 protected:
  Latents latents(const Tensor& x, Noise&) override {
    const Tensor z = encode(x);
    return {z, concat({z, encode(mirrored(x))}, 0)};
  }

 private:
  static Tensor mirrored(const Tensor& x) {  // x (N, H, W, C), mirrored left to right
    const NoGrad off;
    std::vector<Tensor> columns = split(x, 2, int(x.dim(2)));
    std::reverse(columns.begin(), columns.end());
    return concat(columns, 2);
  }
  std::unique_ptr<Simclr> encoder_;
  std::unique_ptr<Examples> images_;  // opened at the first draw
};

// An encoder and a generator that learn from pixels. The loss is
//   reconstruction * mean (x - xhat)^2 + kl * KL.
// Stage 2 decodes the posterior mean and has no KL term.
class Vae : public Experiment {
 public:
  explicit Vae(const Recipe& r)
      : recipe_(r),
        dtype_(dtype_from(r.dtype)),
        init_(r.seed, kInitStep),
        encoder_(Build{dtype_, &init_, r.device}, r.model.z_dim, r.model.width),
        optimizer_(adam_options(r)) {
    encoder_.name_params("encoder");
  }
  // Completes the construction. It is not in the constructor, because the generator draws its weights from
  // init_ after the members of a derived model.
  void begin(int at_stage) {
    make_generator(init_, true);
    optimizer_.add_group(group(recipe_, "encoder", encoder_.params()));
    optimizer_.add_group(group(recipe_, "generator", generator_->params()));
    if (at_stage == 2) enter_stage_two();
  }

  std::vector<int64_t> example_shape() const override { return {32, 32, 3}; }
  Losses step(const Tensor& x, Noise& noise) override {
    const auto [mu, logvar] = encoder_(x);
    const auto [z, kl] = stage == 1 ? noise.sample(mu, logvar) : NormalSample{mu, {}};
    const Tensor error = mse_loss((*generator_)(z, [&] { return noise.key(); }), x);
    Tensor loss = scale(error, recipe_.loss.reconstruction);
    if (stage == 1) loss = loss + scale(kl, recipe_.loss.kl);
    Losses losses = {{"loss", loss.detach()}, {"loss_rec", error.detach()}};
    if (stage == 1) losses.push_back({"loss_kl", kl.detach()});
    backward(optimizer_.scaled(loss), optimizer_.trainable());
    optimizer_.step();
    return losses;
  }
  Tensor sample(int64_t count, Noise& noise) override {
    return evaluate(*generator_, noise.normal({count, recipe_.model.z_dim}, dtype_));
  }
  Tensor encode(const Tensor& x) override { return posterior(x).mu; }
  Tensor reconstruct(const Tensor& x) override { return decode(encode(x)); }
  Tensor decode(const Tensor& z) override { return evaluate(*generator_, z); }
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputs() const override {
    return {{"x", example_shape()}, {"z", {recipe_.model.z_dim}}};
  }
  NamedTensors forward(const NamedTensors& in) override {
    NamedTensors out;
    if (in.contains("z")) out["generator"] = decode(in.at("z"));
    if (in.contains("x")) {
      const auto [mu, logvar] = posterior(in.at("x"));
      out["encoder.mu"] = mu, out["encoder.logvar"] = logvar;
      out["reconstruction"] = decode(mu);
    }
    return out;
  }
  std::vector<Param*> state() override {
    std::vector<Param*> all;
    append(all, encoder_);
    append(all, *generator_);
    return all;
  }
  std::vector<std::pair<std::string, AdamW*>> optimizers() override { return {{"autoencoder", &optimizer_}}; }

  void enter_stage_two() override {
    stage = 2;
    optimizer_.freeze("encoder");
    encoder_.train(false);
    if (recipe_.schedule.weak == "width") {
      Rng fresh(recipe_.seed, kSecondDecoderStep);
      auto old = std::move(generator_);  // must outlive the optimizer's references to it
      make_generator(fresh, false);
      optimizer_.rebuild("generator", generator_->params());
    } else {
      generator_->weak.drop = 0;
    }
  }

 protected:
  Posterior posterior(const Tensor& x) {
    NoGrad off;
    encoder_.train(false);
    const Posterior out = encoder_(x);
    encoder_.train(stage == 1);
    return out;
  }
  void make_generator(Rng& init, bool weak) {
    const auto& s = recipe_.schedule;
    const bool dae = weak && s.kind == "dae";
    const double width = recipe_.model.width * (dae && s.weak == "width" ? s.width : 1);
    const Weakness weakness{dae && s.weak == "dropout" ? s.drop : 0, s.drop_kind == "channel"};
    generator_ = std::make_unique<Generator>(Build{dtype_, &init, recipe_.device}, recipe_.model.z_dim, width,
                                             weakness);
    generator_->name_params("generator");
  }
  Recipe recipe_;
  Dtype dtype_;
  Rng init_;
  Encoder encoder_;
  std::unique_ptr<Generator> generator_;
  AdamW optimizer_;
};

// A VAE with a discriminator. The reconstruction is compared in the discriminator's features, and the
// generator also has an adversarial loss (Larsen et al. 2016).
class Vaegan : public Vae {
 public:
  explicit Vaegan(const Recipe& r) : Vae(r), discriminator_optimizer_(adam_options(r)) {
    make_discriminator(init_);
    discriminator_optimizer_.add_group(group(r, "discriminator", discriminator_->params()));
  }

  Losses step(const Tensor& x, Noise& noise) override {
    const auto masks = [&] { return noise.key(); };
    const int64_t batch = x.dim(0), z_dim = recipe_.model.z_dim;
    const bool joint = stage == 1;
    const auto [mu, logvar] = encoder_(x);
    const auto [z, kl] = joint ? noise.sample(mu, logvar) : NormalSample{mu, {}};
    const Tensor prior = noise.normal({batch, z_dim}, dtype_);
    const auto [xhat, xp] = generate(z, prior, masks);

    // Discriminator: x, xhat and x_p go in separate passes, so that batch statistics are of one kind.
    const Tensor real = bce_with_logits((*discriminator_)(x).logits, 1);
    const Tensor false_rec = bce_with_logits((*discriminator_)(xhat.detach()).logits, 0);
    const Tensor false_prior = bce_with_logits((*discriminator_)(xp.detach()).logits, 0);
    const Tensor generated = 0.5 * (false_rec + false_prior), loss_d = real + generated;
    if (recipe_.loss.balance > 0) {
      const Balance learns = balance(real.detach(), generated.detach(), recipe_.loss.balance);
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
    const auto& w = recipe_.loss;
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
    NamedTensors out = Vae::forward(in);
    evaluate(*discriminator_, in, out);
    return out;
  }
  std::vector<Param*> state() override {
    std::vector<Param*> all = Vae::state();
    append(all, *discriminator_);
    return all;
  }
  std::vector<std::pair<std::string, AdamW*>> optimizers() override {
    return {{"autoencoder", &optimizer_}, {"discriminator", &discriminator_optimizer_}};
  }

  void enter_stage_two() override {
    Vae::enter_stage_two();
    if (recipe_.schedule.discriminator == "fresh") {
      Rng fresh(recipe_.seed, kSecondDiscriminatorStep);
      auto old = std::move(discriminator_);
      make_discriminator(fresh);
      discriminator_optimizer_.rebuild("discriminator", discriminator_->params());
    }
  }

 private:
  // Returns the images of two latents of one shape. Separate passes keep the batch statistics of one kind.
  std::pair<Tensor, Tensor> generate(const Tensor& z, const Tensor& prior, const Masks& masks) {
    if (recipe_.model.generator_passes == 2) {
      Tensor xhat = (*generator_)(z, masks);  // a statement of its own: the order of the passes
      return {xhat, (*generator_)(prior, masks)};
    }
    const std::vector<Tensor> halves = split((*generator_)(concat({z, prior}, 0), masks), 0, 2);
    return {halves[0], halves[1]};
  }
  void make_discriminator(Rng& init) {
    discriminator_ = std::make_unique<Discriminator>(Build{dtype_, &init, recipe_.device},
                                                     recipe_.model.discriminator_width);
    discriminator_->name_params("discriminator");
  }
  std::unique_ptr<Discriminator> discriminator_;
  AdamW discriminator_optimizer_;
};

template <class Model>
std::unique_ptr<Experiment> begun(const Recipe& recipe, int stage) {
  auto model = std::make_unique<Model>(recipe);
  model->begin(stage);
  return model;
}

}  // namespace

std::unique_ptr<Experiment> make_dcgan(const Recipe& recipe) { return std::make_unique<Dcgan>(recipe); }
std::unique_ptr<Experiment> make_dcgan_simclr(const Recipe& recipe) {
  return std::make_unique<DcganSimclr>(recipe);
}
std::unique_ptr<Experiment> make_vae(const Recipe& recipe, int stage) { return begun<Vae>(recipe, stage); }
std::unique_ptr<Experiment> make_vaegan(const Recipe& recipe, int stage) {
  return begun<Vaegan>(recipe, stage);
}

}  // namespace dae
