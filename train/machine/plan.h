// A plan says what the training of a recipe will take, before memory is allocated. It runs the training code
// itself in a dry run (engine/dry_run.h), so it knows no model. The time of a step is estimated from the
// machine's ceilings and from a few steps of small batches.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "engine/dry_run.h"
#include "train/machine/ceilings.h"
#include "train/recipe/recipe.h"

namespace dae {

struct Plan {
  struct Part {  // a parameter group of an optimizer
    std::string optimizer, group;
    int64_t parameters = 0;
    bool frozen = false;
  };
  struct Layer {
    std::string name;  // empty: work that belongs to no layer, such as losses and the optimizer
    int64_t parameters = 0;
    double forward = 0, backward = 0;  // FLOPs of a step
    int64_t held = 0;                  // bytes of activations and gradients in use at the peak
  };
  struct Phase {
    std::string name;   // "stage 1", "switch" or "stage 2"
    int64_t steps = 0;  // 0 for the switch
    std::vector<Part> parts;
    std::vector<Layer> layers;  // in the order in which a step reaches them
    std::vector<DryRun::Work> work;
    std::vector<std::pair<std::string, int64_t>> memory;  // bytes in use at the peak, by kind of tensor
    int64_t peak = 0;                                     // bytes of the pool: the sum of `memory`
    int64_t nodes = 0;                                    // nodes of the tape that backward runs
    double flops = 0;                                     // of a step
  };
  std::vector<Phase> phases;
  int64_t peak() const;  // returns the largest peak of the phases, in bytes
};

// Returns the plan of a recipe: one phase without a DAE schedule, else "stage 1", "switch" and "stage 2".
Plan make_plan(const Recipe& recipe);

struct StepTime {  // seconds
  // The sum over all ops of FLOPs / ceiling or bytes / ceiling, whichever is larger. A convolution that
  // multiplies less often than its formula says can be faster than this.
  double at_ceilings = 0;
  std::optional<double> about;  // estimated from steps that ran; empty: they would take too long or too much
  int64_t first_batch = 0, second_batch = 0;  // sizes of the batches that ran
};
// Returns the sum that StepTime::at_ceilings describes, for one step of the phase.
double seconds_at(const Plan::Phase& phase, const Ceiling& ceiling);
// Returns the time of a step of each phase; the switch has no time that was measured. Where `available` bytes
// suffice, it runs a few steps with two small batches, a few seconds in all, and extrapolates their times to
// the recipe's batch along a straight line.
std::vector<StepTime> estimate_step_times(const Recipe& recipe, const Plan& plan, const Ceiling& ceiling,
                                          int64_t available);

}  // namespace dae
