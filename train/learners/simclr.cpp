// SimCLR on two views of each image.
#include "models/simclr.h"

#include "train/learners/registry.h"

namespace dae {

namespace {

struct SimclrSettings : SettingsOf<SimclrSettings> {
  int64_t z_dim = 128;       // of the projection
  double width = 1;          // factor on the channels
  double temperature = 0.5;  // of the NT-Xent loss
  std::vector<RecipeKey> keys() override {
    return {{"model.z_dim", &z_dim, kPositive},
            {"model.width", &width, kWidth},
            {"loss.temperature", &temperature, kTemperature}};
  }
};

class SimclrLearner : public Learner, public CanEncode {
 public:
  SimclrLearner(const Recipe& r, const SimclrSettings& settings)
      : init_(r.seed, kInitStep),
        model_(Build{dtype_from(r.dtype), &init_, r.device}, settings.z_dim, settings.width),
        loss_(settings.temperature),
        optimizer_(adam_options(r, "encoder")) {
    optimizer_.add_group(group(r, "encoder", "encoder", model_.params()));
  }
  std::vector<int64_t> example_shape() const override { return {32, 32, 3}; }
  // x is (2B, 32, 32, 3): the first view of each image, then the second view of each. The two halves go in
  // separate passes, so that batch statistics are of B different images.
  Losses step(const Batch& batch, const StepContext&) override {
    const auto views = split(batch.x, 0, 2);
    const Tensor first = model_(views[0]).projection, second = model_(views[1]).projection;
    const Tensor loss = loss_(first, second);
    backward(optimizer_.scaled(loss), optimizer_.trainable());
    optimizer_.step();
    return {{"loss", loss.detach()}};
  }
  CanEncode* encoder() override { return this; }
  Tensor encode(const Tensor& x) override { return simclr::l2_normalize(evaluate(x).projection); }
  Tensor features(const Tensor& x) override { return evaluate(x).features; }
  NamedTensors forward(const NamedTensors& in) override { return {{"encoding", encode(in.at("x"))}}; }
  std::vector<Param*> state() override { return model_.state(); }
  std::vector<std::pair<std::string, AdamW*>> optimizers() override { return {{"encoder", &optimizer_}}; }

 private:
  simclr::Simclr::Output evaluate(const Tensor& x) {
    const NoGrad off;
    const EvalMode eval(model_);
    return model_(x);
  }
  Rng init_;
  simclr::Simclr model_;
  simclr::NtXent loss_;
  AdamW optimizer_;
};

}  // namespace

LearnerKind simclr_kind() {
  LearnerKind kind;
  kind.name = "simclr";
  kind.settings = []() -> std::unique_ptr<Settings> { return std::make_unique<SimclrSettings>(); };
  kind.views = "simclr";
  kind.optimizers = {"encoder"};
  kind.make = [](const Recipe& r) -> std::unique_ptr<Learner> {
    return std::make_unique<SimclrLearner>(r, own<SimclrSettings>(r));
  };
  return kind;
}

}  // namespace dae
