// The training loop: one for all models. A run folder holds recipe.toml (resolved), manifest.json (data),
// metrics.jsonl (one object a logged step, no times in it), timing.jsonl, TensorBoard events, checkpoints/,
// samples/*.png and report.html.
#pragma once
#include <cstdint>
#include <string>

#include "train/experiment.h"

struct LoopOptions {
  std::string run = {};   // folder
  std::string init = {};  // weights to start from, or empty
  bool resume = false;
  std::string from = {};  // start stage 2 from this stage-1 checkpoint (RUN or RUN@STEP), or empty
  bool quiet = false;
};

struct LoopResult {
  int64_t step = 0;
  Metrics metrics;  // of the last step
  int signal = 0;   // the one caught (signals.h): the step was finished and saved
};

// Trains until recipe.train.steps or a signal, alone in the run's folder (run_lock.h). Resuming cuts the logs
// back to the checkpoint and goes on to the same bytes that an uninterrupted run writes; settings that may
// change then are written into recipe.toml. Fault::data when a loss is not finite.
LoopResult run_training(const Recipe& recipe, const LoopOptions& options);
