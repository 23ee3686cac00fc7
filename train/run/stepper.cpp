#include "train/run/stepper.h"

#include "kernels/random/random.h"

namespace dae {

Stepper::Stepper(Learner& learner, const Recipe& recipe)
    : learner_(learner), recording_(learner.recording()) {
  if (recipe.train.graph && recipe.device == Device::cuda) clock_ = Tensor({1}, Dtype::i64).to(Device::cuda);
}

const uint32_t* Stepper::clock() const {
  return clock_ ? static_cast<const uint32_t*>(clock_.raw()) : nullptr;
}

Losses Stepper::take(const Batch& batch, const StepContext& context, double lr_factor) {
  learner_.set_lr_factor(lr_factor);
  if (!clock_) return learner_.step(batch, context);
  if constexpr (kHasCuda)
    set_clock(Cuda{gpu_stream()}, static_cast<uint32_t*>(clock_.raw()), uint32_t(context.step));
  if (const int64_t now = learner_.recording(); now != recording_)
    graph_ = nullptr, losses_.clear(), warm_ = false, recording_ = now;
  if (!std::exchange(warm_, true)) return learner_.step(batch, context);
  if (graph_ && batch.x.shape() == batch_.x.shape()) {
    batch_.x.copy_from(batch.x);
    batch_.labels.copy_from(batch.labels);
  } else {
    graph_ = std::make_unique<Graph>();
    batch_ = {batch.x.clone(), batch.labels.clone()};
    try {
      graph_->record([&] { losses_ = learner_.step(batch_, context); });
    } catch (const Error& e) {
      if (e.fault != Fault::usage) throw;
      fail(Fault::usage, "train.graph: {}; add --set train.graph=false", e.what());
    }
  }
  graph_->launch();
  return losses_;
}

}  // namespace dae
