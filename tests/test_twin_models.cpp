// Training steps of a tiny model of each kind on CUDA against the CPU, in f32: losses, weights and running
// statistics to 1e-4. Both sum in f32 in another order (1e-6 a tensor); Adam's first steps divide
// a gradient by its own size, so that a small one doubles its relative error, hence two digits of room.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "tests/rows.h"
#include "train/feed.h"

namespace {

constexpr double kLimit = 1e-4;

struct Run {
  Run(const std::string& name, const std::vector<std::string>& sets, uint32_t steps, Device device) {
    recipe = load_recipe(name, sets);
    recipe.device = device;
    experiment = make_experiment(recipe);
    Feed feed(recipe, 0);
    for (uint32_t step = 1; step <= steps; ++step) {
      const std::unique_ptr<Noise> noise = drawn_noise(recipe.seed, step, device);
      metrics = read(experiment->step(feed.next().x, *noise, 1));
    }
  }
  Recipe recipe;
  std::unique_ptr<Experiment> experiment;
  Metrics metrics;
};

void compare(const std::string& name, std::vector<std::string> sets, uint32_t steps = 2) {
  sets.push_back("train.batch=3");
  const Run cuda(name, sets, steps, Device::cuda), cpu(name, sets, steps, Device::cpu);
  REQUIRE(cuda.metrics.size() == cpu.metrics.size());
  for (size_t i = 0; i < cpu.metrics.size(); ++i) {
    const auto& [metric, value] = cpu.metrics[i];
    INFO(metric, ": expected ", value, ", found ", cuda.metrics[i].second);
    CHECK(std::abs(cuda.metrics[i].second - value) <= kLimit * std::abs(value));
  }
  const std::vector<Param*> there = cuda.experiment->state(), here = cpu.experiment->state();
  REQUIRE(there.size() == here.size());
  for (size_t i = 0; i < here.size(); ++i) {
    INFO(here[i]->name);
    CHECK(there[i]->value.device() == Device::cuda);
    CHECK(relative_error(there[i]->value, here[i]->value) <= kLimit);
  }
}

}  // namespace

TEST_CASE("toy VAE") { compare("toy", {"model.encoder_hidden=13", "model.decoder_hidden=11"}); }
TEST_CASE("DCGAN") {
  compare("dcgan-cifar10", {"data.kind=procedural", "model.width=0.02", "model.z_dim=7"});
}
TEST_CASE("VAEGAN") {
  compare("vaegan-cifar10", {"data.kind=procedural", "model.width=0.02", "model.z_dim=7"});
}
// One step: batch norm over the few values that so narrow a masked generator keeps magnifies the rounding of
// CUDA's f32 sums (the CPU's are f64) by a factor of 50 to 100 a step.
TEST_CASE("VAEGAN with channel dropout") {
  compare("dae-vaegan-cifar10",
          {"data.kind=procedural", "model.width=0.02", "model.z_dim=7", "schedule.weak=dropout"}, 1);
}
