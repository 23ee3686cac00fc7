// The vanilla VAE on vectors (paper, section 6.1): loss = c |x - xhat|^2 + KL, sums over dimensions, means
// over the batch.
#include "models/toy_vae.h"
#include "train/learners/dae.h"
#include "train/learners/registry.h"

namespace dae {

namespace {

constexpr int64_t kDim = 10;

struct ToySettings : SettingsOf<ToySettings> {
  int64_t z_dim = 128, encoder_hidden = 128, decoder_hidden = 128;  // the latter: units of each hidden layer
  double kl = 1, reconstruction = 1;
  std::vector<RecipeKey> keys() override {
    return {{"model.z_dim", &z_dim, kPositive},
            {"model.encoder_hidden", &encoder_hidden, kPositive},
            {"model.decoder_hidden", &decoder_hidden, kPositive},
            {"loss.kl", &kl, kWeight},
            {"loss.reconstruction", &reconstruction, kWeight}};
  }
};

class Toy : public Learner, public CanGenerate, public CanEncode, public CanDecode, public Decoupled {
 public:
  explicit Toy(const Recipe& r)
      : Decoupled(r),
        own_(own<ToySettings>(r)),
        dtype_(dtype_from(r.dtype)),
        init_(r.seed, kInitStep),
        model_(Build{dtype_, &init_, r.device}, kDim, own_.z_dim, own_.encoder_hidden,
               hidden(first_strength(r)), first_strength(r).weakness),
        optimizer_(adam_options(r, "autoencoder")) {
    optimizer_.add_group(group(r, "autoencoder", "encoder", model_.encoder.params()));
    optimizer_.add_group(group(r, "autoencoder", "decoder", model_.decoder->params()));
  }
  std::vector<int64_t> example_shape() const override { return {kDim}; }
  Losses step(const Batch& batch, const StepContext& context) override {
    const Tensor& x = batch.x;
    const auto [mu, logvar] = model_.encode(x);
    const auto [z, kl] = stage() == 1 ? context.noise.sample(mu, logvar) : NormalSample{mu, {}};
    const Tensor xhat = model_.decode(z, [&] { return context.noise.key(); });
    const Tensor rec = scale(mse_loss(x, xhat), double(x.dim(1)));
    Tensor loss = scale(rec, own_.reconstruction);
    Losses losses = {{"loss_rec", rec.detach()}};
    if (stage() == 1) {
      loss = loss + scale(kl, own_.kl);
      losses.push_back({"loss_kl", kl.detach()});
    }
    losses.insert(losses.begin(), {"loss", loss.detach()});
    backward(optimizer_.scaled(loss), optimizer_.trainable());
    optimizer_.step();
    return losses;
  }
  int64_t recording() const override { return stage(); }
  CanGenerate* generator() override { return this; }
  CanEncode* encoder() override { return this; }
  CanDecode* decoder() override { return this; }
  Decoupled* decoupled() override { return this; }
  Tensor generate(int64_t count, Noise& noise) override {
    return decode(noise.normal({count, model_.latent}, dtype_));
  }
  Tensor encode(const Tensor& x) override {
    NoGrad off;
    return model_.encode(x).mu;
  }
  Tensor decode(const Tensor& z) override {
    const NoGrad off;
    const EvalMode eval(*model_.decoder);
    return model_.decode(z);
  }
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputs() const override {
    return {{"x", example_shape()}, {"z", {model_.latent}}};
  }
  NamedTensors forward(const NamedTensors& in) override {
    NoGrad off;
    NamedTensors out;
    if (in.contains("z")) out["decoder"] = decode(in.at("z"));
    if (in.contains("x")) {
      const auto [mu, logvar] = model_.encode(in.at("x"));
      out["encoder.mu"] = mu, out["encoder.logvar"] = logvar;
      out["reconstruction"] = decode(mu);
    }
    return out;
  }
  std::vector<Param*> state() override {
    std::vector<Param*> all = model_.encoder.state(), more = model_.decoder->state();
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<std::pair<std::string, AdamW*>> optimizers() override { return {{"autoencoder", &optimizer_}}; }

 protected:
  std::shared_ptr<void> replace_decoder(Rng& init, const Strength& strength) override {
    std::shared_ptr<void> old = std::move(model_.decoder);
    model_.make_decoder(Build{dtype_, &init, recipe_.device}, hidden(strength), strength.weakness);
    return old;
  }
  Weakness& decoder_weakness() override { return model_.decoder->weak; }
  Module& encoder_module() override { return model_.encoder; }
  std::vector<Param*> decoder_params() override { return model_.decoder->params(); }
  const char* decoder_group() const override { return "decoder"; }
  AdamW& autoencoder_optimizer() override { return optimizer_; }

 private:
  int64_t hidden(const Strength& strength) const {
    return std::max<int64_t>(1, std::llround(double(own_.decoder_hidden) * strength.width));
  }
  ToySettings own_;
  Dtype dtype_;
  Rng init_;
  toy::ToyVae model_;
  AdamW optimizer_;
};

}  // namespace

LearnerKind toy_kind() {
  LearnerKind kind;
  kind.name = "toy";
  kind.settings = []() -> std::unique_ptr<Settings> { return std::make_unique<ToySettings>(); };
  kind.decoupled = true;
  kind.optimizers = {"autoencoder"};
  kind.make = [](const Recipe& r) -> std::unique_ptr<Learner> { return std::make_unique<Toy>(r); };
  return kind;
}

}  // namespace dae
