#include "train/experiments/experiments.h"

std::unique_ptr<Experiment> make_experiment(const Recipe& recipe, int stage) {
  const std::string& kind = recipe.model.kind;
  if (kind == "toy") return make_toy(recipe, stage);
  if (kind == "dcgan") return make_dcgan(recipe);
  if (kind == "vaegan") return make_vaegan(recipe, stage);
  fail(Fault::usage, "model.kind: expected toy, dcgan or vaegan, found \"{}\"", kind);
}
