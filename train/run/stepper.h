// A Stepper takes the steps of an learner. On CUDA with train.graph = true it records a step as a CUDA graph
// and replays it: the same kernels and the same bits, without the host's work. The first step runs
// unrecorded, because it allocates the memory that stays. The second step is recorded. When
// Learner::recording() changes, both are done anew.
#pragma once
#include <memory>

#include "engine/graph.h"
#include "train/learners/learner.h"

namespace dae {

class Stepper {
 public:
  Stepper(Learner& learner, const Recipe& recipe);
  // Returns the address from which the noise of take() must read the step (Key::clock). Null where steps are
  // not captured.
  const uint32_t* clock() const;
  // Takes one step on the batch and returns its losses, which last until the next step. Throws Fault::usage
  // if the step has to be captured and cannot be.
  Losses take(const Batch& batch, const StepContext& context, double lr_factor);

 private:
  Learner& learner_;
  Tensor clock_;  // (1), i64: the step
  bool warm_ = false;
  int64_t recording_ = 0;  // Learner::recording() of the graph
  std::unique_ptr<Graph> graph_;
  Batch batch_;  // the graph's input; losses_ is its output
  Losses losses_;
};

}  // namespace dae
