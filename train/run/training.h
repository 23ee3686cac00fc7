// The steps of a training run, without its folder: learner, data, noise, schedule and progress. `dae train`
// writes logs, pictures and checkpoints around it (loop.h); a study that needs none of them only takes the
// steps.
#pragma once
#include <functional>

#include "train/feed/feed.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"
#include "train/run/stepper.h"

namespace dae {

class Training {
 public:
  // Begins at `at`, with initial weights. Throws Fault::usage if the data has not the examples that the model
  // takes.
  explicit Training(const Recipe& recipe, const Progress& at = {});
  bool done() const { return at.step >= recipe.train.steps; }
  void enter_stage_two();  // begins stage 2 after the steps taken so far
  // Begins stage 2 if the schedule says that it is due. Returns whether it did.
  bool switch_if_due();
  // Takes the next step and returns its losses. `around`, if given, is called before and after the step
  // itself.
  struct Around {
    std::function<void()> before, after;
  };
  Losses step(const Around& around = {});

  const Recipe recipe;
  Progress at;
  std::unique_ptr<Learner> learner;
  Feed data;
  Batch batch;  // that of the last step

 private:
  Stepper stepper_;
};

}  // namespace dae
