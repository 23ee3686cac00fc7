// A Stepper takes the steps of an experiment. On CUDA with train.graph = true it records a step as a CUDA
// graph and replays it: the same kernels and the same bits, without the host's work. The first step runs
// unrecorded, because it allocates the memory that stays. The second step is recorded.
#pragma once
#include <memory>

#include "engine/graph.h"
#include "train/learners/learner.h"

namespace dae {

class Stepper {
 public:
  Stepper(Experiment& experiment, const Recipe& recipe);
  // Returns the address from which the noise of take() must read the step (Key::clock). Null where steps are
  // not captured.
  const uint32_t* clock() const;
  // Takes one step on the batch x and returns its losses, which last until the next step. `step` counts from
  // 1; `noise` was made for this step. Throws Fault::usage if the step has to be captured and cannot be.
  Losses take(const Tensor& x, Noise& noise, int64_t step, double lr_factor);
  // To be called before the experiment changes, at the switch: the next steps are recorded anew.
  void changed();

 private:
  Experiment& experiment_;
  Tensor clock_;  // (1), i64: the step
  bool warm_ = false;
  std::unique_ptr<Graph> graph_;
  Tensor x_;  // the graph's input; losses_ is its output
  Losses losses_;
};

}  // namespace dae
