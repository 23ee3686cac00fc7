// The vanilla VAE on vectors. The loss is
//   c |x - xhat|^2 + KL,
// summed over dimensions, mean over the batch. Stage 2 decodes the posterior mean and has no KL term.
#include "models/toy_vae.h"
#include "train/learners/registry.h"

namespace dae {

namespace {

constexpr int64_t kDim = 10;

class Toy : public Experiment {
 public:
  Toy(const Recipe& r, int at_stage)
      : recipe_(r),
        dtype_(dtype_from(r.dtype)),
        init_(r.seed, kInitStep),
        model_(Build{dtype_, &init_, r.device}, kDim, r.model.z_dim, r.model.encoder_hidden, weak_hidden(),
               weakness()),
        optimizer_(adam_options(r)) {
    const auto& o = r.optimizer;
    optimizer_.add_group({"encoder", model_.encoder.params(), o.lr, o.weight_decay});
    optimizer_.add_group({"decoder", model_.decoder->params(), o.lr, o.weight_decay});
    if (at_stage == 2) enter_stage_two();
  }
  std::vector<int64_t> example_shape() const override { return {kDim}; }
  Losses step(const Tensor& x, Noise& noise) override {
    const auto [mu, logvar] = model_.encode(x);
    const auto [z, kl] = stage == 1 ? noise.sample(mu, logvar) : NormalSample{mu, {}};
    const Tensor xhat = model_.decode(z, [&] { return noise.key(); });
    const Tensor rec = scale(mse_loss(x, xhat), double(x.dim(1)));
    Tensor loss = scale(rec, recipe_.loss.reconstruction);
    Losses losses = {{"loss_rec", rec.detach()}};
    if (stage == 1) {
      loss = loss + scale(kl, recipe_.loss.kl);
      losses.push_back({"loss_kl", kl.detach()});
    }
    losses.insert(losses.begin(), {"loss", loss.detach()});
    backward(optimizer_.scaled(loss), optimizer_.trainable());
    optimizer_.step();
    return losses;
  }
  Tensor sample(int64_t count, Noise& noise) override {
    return evaluate(noise.normal({count, model_.latent}, dtype_));
  }
  Tensor encode(const Tensor& x) override {
    NoGrad off;
    return model_.encode(x).mu;
  }
  Tensor reconstruct(const Tensor& x) override { return decode(encode(x)); }
  Tensor decode(const Tensor& z) override { return evaluate(z); }
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputs() const override {
    return {{"x", example_shape()}, {"z", {model_.latent}}};
  }
  NamedTensors forward(const NamedTensors& in) override {
    NoGrad off;
    NamedTensors out;
    if (in.contains("z")) out["decoder"] = evaluate(in.at("z"));
    if (in.contains("x")) {
      const auto [mu, logvar] = model_.encode(in.at("x"));
      out["encoder.mu"] = mu, out["encoder.logvar"] = logvar;
      out["reconstruction"] = evaluate(mu);
    }
    return out;
  }
  std::vector<Param*> state() override {
    std::vector<Param*> all = model_.encoder.state(), more = model_.decoder->state();
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<std::pair<std::string, AdamW*>> optimizers() override { return {{"autoencoder", &optimizer_}}; }
  void enter_stage_two() override {
    stage = 2;
    optimizer_.freeze("encoder");
    if (recipe_.schedule.weak == "width") {
      Rng fresh(recipe_.seed, kSecondDecoderStep);
      auto old = std::move(model_.decoder);  // must outlive the optimizer's references to it
      model_.make_decoder(Build{dtype_, &fresh, recipe_.device}, recipe_.model.decoder_hidden);
      optimizer_.rebuild("decoder", model_.decoder->params());
    } else {
      model_.decoder->weak.drop = 0;
    }
  }

 private:
  bool weak_by(const char* what) const {
    return recipe_.schedule.kind == "dae" && recipe_.schedule.weak == what;
  }
  int64_t weak_hidden() const {
    const int64_t full = recipe_.model.decoder_hidden;
    return weak_by("width") ? std::max<int64_t>(1, std::llround(double(full) * recipe_.schedule.width))
                            : full;
  }
  Weakness weakness() const {
    return {weak_by("dropout") ? recipe_.schedule.drop : 0, recipe_.schedule.drop_kind == "channel"};
  }
  Tensor evaluate(const Tensor& z) {
    NoGrad off;
    model_.decoder->train(false);
    Tensor x = model_.decode(z);
    model_.decoder->train(true);
    return x;
  }
  Recipe recipe_;
  Dtype dtype_;
  Rng init_;
  ToyVae model_;
  AdamW optimizer_;
};

}  // namespace

std::unique_ptr<Experiment> make_toy(const Recipe& recipe, int stage) {
  return std::make_unique<Toy>(recipe, stage);
}

}  // namespace dae
