// SimCLR on two views of each image.
#include "models/simclr.h"

#include "train/learners/registry.h"

namespace dae {

namespace {

class SimclrExperiment : public Experiment {
 public:
  explicit SimclrExperiment(const Recipe& r)
      : init_(r.seed, kInitStep),
        model_(Build{dtype_from(r.dtype), &init_, r.device}, r.model.z_dim, r.model.width),
        loss_(r.loss.temperature),
        optimizer_(adam_options(r)) {
    optimizer_.add_group({"encoder", model_.params(), r.optimizer.lr, r.optimizer.weight_decay});
  }
  std::vector<int64_t> example_shape() const override { return {32, 32, 3}; }
  // x is (2B, 32, 32, 3): the first view of each image, then the second view of each. The two halves go in
  // separate passes, so that batch statistics are of B different images.
  Losses step(const Tensor& x, Noise&) override {
    const auto views = split(x, 0, 2);
    const Tensor first = model_(views[0]).projection, second = model_(views[1]).projection;
    const Tensor loss = loss_(first, second);
    backward(optimizer_.scaled(loss), optimizer_.trainable());
    optimizer_.step();
    return {{"loss", loss.detach()}};
  }
  Tensor sample(int64_t, Noise&) override { return {}; }
  Tensor encode(const Tensor& x) override { return l2_normalize(evaluate(x).projection); }
  Tensor features(const Tensor& x) override { return evaluate(x).features; }
  Tensor reconstruct(const Tensor&) override { return {}; }
  std::vector<Param*> state() override { return model_.state(); }
  std::vector<std::pair<std::string, AdamW*>> optimizers() override { return {{"encoder", &optimizer_}}; }
  void enter_stage_two() override {
    fail(Fault::usage, "schedule.kind: simclr has no decoder; expected \"joint\"");
  }

 private:
  Simclr::Output evaluate(const Tensor& x) {
    const NoGrad off;
    model_.train(false);
    const Simclr::Output out = model_(x);
    model_.train(true);
    return out;
  }
  Rng init_;
  Simclr model_;
  NtXent loss_;
  AdamW optimizer_;
};

}  // namespace

std::unique_ptr<Experiment> make_simclr(const Recipe& recipe) {
  return std::make_unique<SimclrExperiment>(recipe);
}

}  // namespace dae
