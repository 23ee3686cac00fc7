#include "train/learners/dcgan.h"

namespace dae {

void evaluate(dcgan::Discriminator& discriminator, const NamedTensors& in, NamedTensors& out) {
  if (!in.contains("x")) return;
  const NoGrad off;
  const EvalMode eval(discriminator);
  const auto [logits, features] = discriminator(in.at("x"));
  out["discriminator.logits"] = logits, out["discriminator.features"] = features;
}

Dcgan::Dcgan(const Recipe& r, const DcganSettings& settings)
    : z_dim_(settings.z_dim),
      dtype_(dtype_from(r.dtype)),
      init_(r.seed, kInitStep),
      generator_(Build{dtype_, &init_, r.device}, settings.z_dim, settings.width),
      discriminator_(Build{dtype_, &init_, r.device}, settings.discriminator_width),
      generator_optimizer_(adam_options(r, "generator")),
      discriminator_optimizer_(adam_options(r, "discriminator")) {
  generator_.name_params("generator");
  discriminator_.name_params("discriminator");
  generator_optimizer_.add_group(group(r, "generator", "generator", generator_.params()));
  discriminator_optimizer_.add_group(group(r, "discriminator", "discriminator", discriminator_.params()));
}

// Takes a discriminator step on B real and B generated images, in separate passes, then a generator step on
// 2B generated images.
Losses Dcgan::step(const Batch& batch, const StepContext& context) {
  const Latents z = latents(batch.x, context.noise);
  Tensor fake;
  {
    NoGrad off;
    fake = generator_(z.discriminator);
  }
  // These are statements, not operands of a sum: the order of the passes decides the running statistics.
  const Tensor real_term = bce_with_logits(discriminator_(batch.x).logits, 1);
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

Dcgan::Latents Dcgan::latents(const Tensor& x, Noise& noise) {
  const int64_t batch = x.dim(0);
  const Tensor first =
      noise.normal({batch, z_dim_}, dtype_);  // a statement: the discriminator's are drawn first
  return {first, noise.normal({2 * batch, z_dim_}, dtype_)};
}

Tensor Dcgan::images_of(const Tensor& z) {
  const NoGrad off;
  const EvalMode eval(generator_);
  return generator_(z);
}
Tensor Dcgan::generate(int64_t count, Noise& noise) {
  return images_of(noise.normal({count, z_dim_}, dtype_));
}

std::vector<std::pair<std::string, std::vector<int64_t>>> Dcgan::inputs() const {
  return {{"x", example_shape()}, {"z", {z_dim_}}};
}
NamedTensors Dcgan::forward(const NamedTensors& in) {
  NamedTensors out;
  if (in.contains("z")) out["generator"] = images_of(in.at("z"));
  evaluate(discriminator_, in, out);
  return out;
}
std::vector<Param*> Dcgan::state() {
  std::vector<Param*> all = generator_.state(), more = discriminator_.state();
  all.insert(all.end(), more.begin(), more.end());
  return all;
}
std::vector<std::pair<std::string, AdamW*>> Dcgan::optimizers() {
  return {{"generator", &generator_optimizer_}, {"discriminator", &discriminator_optimizer_}};
}

LearnerKind dcgan_kind() {
  LearnerKind kind;
  kind.name = "dcgan";
  kind.settings = []() -> std::unique_ptr<Settings> { return std::make_unique<DcganSettings>(); };
  kind.optimizers = {"generator", "discriminator"};
  kind.make = [](const Recipe& r) -> std::unique_ptr<Learner> {
    return std::make_unique<Dcgan>(r, own<DcganSettings>(r));
  };
  return kind;
}

}  // namespace dae
