// Takes the steps of an experiment. On CUDA, where the recipe says train.graph = true, the first step runs as
// it stands (what stays is allocated then), the second is recorded, and that recording is launched from then
// on: the same kernels with the same bits, without the host's work.
#pragma once
#include <memory>

#include "engine/graph.h"
#include "train/experiment.h"

class Stepper {
 public:
  Stepper(Experiment& experiment, const Recipe& recipe);
  // Where noise for take() must read the step (Key::clock): null where steps are not captured.
  const uint32_t* clock() const;
  // `step` from 1, noise made for it. Values of the losses last until the next step. Fault::usage if a step
  // is to be captured and cannot be.
  Losses take(const Tensor& x, Noise& noise, int64_t step, double lr_factor);
  void changed();  // the experiment is about to change, at a switch: record anew

 private:
  Experiment& experiment_;
  Tensor clock_;  // of one i64
  bool warm_ = false;
  std::unique_ptr<Graph> graph_;
  Tensor x_;  // what the graph reads and returns
  Losses losses_;
};
