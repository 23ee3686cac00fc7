#include "train/run/stepper.h"

#include "kernels/random/random.h"

namespace dae {

Stepper::Stepper(Experiment& experiment, const Recipe& recipe) : experiment_(experiment) {
  if (recipe.train.graph && recipe.device == Device::cuda) clock_ = Tensor({1}, Dtype::i64).to(Device::cuda);
}

const uint32_t* Stepper::clock() const {
  return clock_ ? static_cast<const uint32_t*>(clock_.raw()) : nullptr;
}

void Stepper::changed() { graph_ = nullptr, losses_.clear(), warm_ = false; }

Losses Stepper::take(const Tensor& x, Noise& noise, int64_t step, double lr_factor) {
  experiment_.set_lr_factor(lr_factor);
  if (!clock_) return experiment_.step(x, noise);
  if constexpr (kHasCuda) set_clock(Cuda{gpu_stream()}, static_cast<uint32_t*>(clock_.raw()), uint32_t(step));
  if (!std::exchange(warm_, true)) return experiment_.step(x, noise);
  if (graph_ && x.shape() == x_.shape()) {
    x_.copy_from(x);
  } else {
    graph_ = std::make_unique<Graph>();
    x_ = x.clone();
    try {
      graph_->record([&] { losses_ = experiment_.step(x_, noise); });
    } catch (const Error& e) {
      if (e.fault != Fault::usage) throw;
      fail(Fault::usage, "train.graph: {}; add --set train.graph=false", e.what());
    }
  }
  graph_->launch();
  return losses_;
}

}  // namespace dae
