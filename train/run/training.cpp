#include "train/run/training.h"

#include <fmt/ranges.h>

#include "train/learners/dae.h"

namespace dae {

Training::Training(const Recipe& given, const Progress& begin)
    : recipe(given),
      at(begin),
      learner(make_learner(recipe, at.stage)),
      data(recipe, at.batches),
      stepper_(*learner, recipe) {
  if (data.example_shape() != learner->example_shape())
    fail(Fault::usage, "train: data.kind {}: expected examples of shape ({}) for a {}, found ({})",
         recipe.data.kind, fmt::join(learner->example_shape(), ", "), recipe.model.kind,
         fmt::join(data.example_shape(), ", "));
}

void Training::enter_stage_two() {
  decoupled(*learner).enter_stage_two();
  at.stage = 2, at.stage_two = at.step;
}

bool Training::switch_if_due() {
  const int64_t switch_at = switch_step(recipe);
  if (at.stage == 2 || switch_at < 0 || at.step < switch_at) return false;
  enter_stage_two();
  return true;
}

Losses Training::step(const Around& around) {
  batch = data.next();
  ++at.batches;
  const std::unique_ptr<Noise> noise =
      data.noise(at.noise_rows, recipe.seed, uint32_t(at.step + 1), stepper_.clock());
  if (around.before) around.before();
  const Losses losses = stepper_.take(batch, {*noise, at.step + 1}, lr_factor(recipe, at.step, at.stage_two));
  if (around.after) around.after();
  ++at.step;
  return losses;
}

}  // namespace dae
