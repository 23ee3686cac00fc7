// What training a recipe will take, before anything is allocated: the training itself in a dry run
// (engine/dry_run.h), so nothing here knows any model. And what a step will last, from the machine's ceilings
// and a few steps of small batches.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/dry_run.h"
#include "train/machine.h"
#include "train/recipe.h"

struct Plan {
  struct Part {  // a group of an optimizer
    std::string optimizer, group;
    int64_t parameters = 0;
    bool frozen = false;
  };
  struct Layer {
    std::string name;  // "" is what belongs to none: losses, the optimizer
    int64_t parameters = 0;
    double forward = 0, backward = 0;  // FLOPs
    int64_t held = 0;                  // bytes of activations and gradients in use at the peak
  };
  struct Phase {
    std::string name;   // "stage 1", "switch", "stage 2"
    int64_t steps = 0;  // 0 for the switch, which is none
    std::vector<Part> parts;
    std::vector<Layer> layers;  // in the order in which a step meets them
    std::vector<DryRun::Work> work;
    std::vector<std::pair<std::string, int64_t>> memory;  // bytes by kind at the peak
    int64_t peak = 0;                                     // bytes of the pool: their sum
    int64_t nodes = 0;                                    // of the tape that run backward
    double flops = 0;
  };
  std::vector<Phase> phases;
  int64_t peak() const;
};

Plan make_plan(const Recipe& recipe);

struct StepTime {  // seconds
  // For each op its FLOPs or its bytes over the ceiling, whichever is more. Convolutions with fewer
  // multiplications than their formula can be faster.
  double at_ceilings = 0;
  std::optional<double> about;  // from steps that ran; none: they would have taken too long or too much
  int64_t first_batch = 0, second_batch = 0;  // what ran
};
double seconds_at(const Plan::Phase& phase, const Ceiling& ceiling);
// By phase; the switch has none. Runs a few steps of two small batches, some seconds in all, where
// `available` bytes are enough for them, and carries their times to the recipe's batch along a straight line.
std::vector<StepTime> estimate_step_times(const Recipe& recipe, const Plan& plan, const Ceiling& ceiling,
                                          int64_t available);
