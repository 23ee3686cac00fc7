// The list of all models that can be trained: one row each, from which lists, messages and checks follow. A
// file train/learners/NAME.cpp defines its row, LearnerKind NAME_kind(); the build makes the list of all such
// functions.
#pragma once
#include <memory>
#include <vector>

#include "train/learners/learner.h"

namespace dae {

// A row: what the recipe asks (recipe/model_kind.h), and how the learner is made.
struct LearnerKind : ModelKind {
  std::unique_ptr<Learner> (*make)(const Recipe& recipe);
};

// Returns all rows, by name.
const std::vector<LearnerKind>& learner_kinds();

// Returns the learner of a recipe, with initial weights drawn from recipe.seed. stage 2: the model as it
// is after the switch; a checkpoint of stage 2 is loaded into it. Throws Fault::usage if the recipe's device
// cannot compute in its dtype.
std::unique_ptr<Learner> make_learner(const Recipe& recipe, int stage = 1);

// Returns the options of the recipe's optimizer `name`, [optimizer] with the changes of [optimizer.NAME].
AdamOptions adam_options(const Recipe& recipe, const std::string& name);
// Returns a group of that optimizer, with its rate and weight decay.
Group group(const Recipe& recipe, const std::string& optimizer, const std::string& name,
            std::vector<Param*> params);

}  // namespace dae
