// The training loop, one for all models. A run folder holds
//   recipe.toml         the resolved recipe
//   manifest.json       what was read as data
//   metrics.jsonl       one object per logged step, without times
//   timing.jsonl        times and costs of the logged steps
//   environment.jsonl   program and machine, at each start
//   events.out.*        TensorBoard events
//   checkpoints/, samples/*.png, report.html
#pragma once
#include <cstdint>
#include <string>

#include "train/learners/learner.h"

namespace dae {

struct LoopOptions {
  std::string run = {};   // folder
  std::string init = {};  // weights to start from; empty: none
  bool resume = false;
  std::string from = {};  // RUN or RUN@STEP: the stage-1 checkpoint from which stage 2 starts; empty: none
  bool quiet = false;
};

struct LoopResult {
  int64_t step = 0;
  Metrics metrics;  // metrics of the last step
  int signal = 0;   // the signal caught (signals.h), after which the step was finished and saved; 0: none
};

// Trains until recipe.train.steps or a signal. The run's folder is locked (run_lock.h). A resumed run cuts
// its logs back to the checkpoint and then writes the same checkpoints and metrics, byte for byte, as an
// uninterrupted run; settings that may change at a resume are written into recipe.toml. Throws Fault::data
// when a loss or a weight is not finite, and Fault::usage for options that do not fit the recipe or the
// folder.
LoopResult run_training(const Recipe& recipe, const LoopOptions& options);

}  // namespace dae
