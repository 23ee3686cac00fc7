// Two training steps of a tiny model of each kind on CUDA against the CPU, in f32: losses, weights, moments
// and running statistics to 1e-4. Both sum in f32 in another order (1e-6 a tensor); Adam's first steps divide
// a gradient by its own size, so that a small one doubles its relative error, hence two digits of room.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "tests/rows.h"
#include "train/feed.h"

namespace {

constexpr double kLimit = 1e-4;

struct Run {
  Run(const std::string& name, const std::vector<std::string>& sets, Device device) {
    recipe = load_recipe(name, sets);
    recipe.device = device;
    experiment = make_experiment(recipe);
    Feed feed(recipe, 0);
    for (uint32_t step = 1; step <= 2; ++step) {
      const std::unique_ptr<Noise> noise = drawn_noise(recipe.seed, step, device);
      metrics = read(experiment->step(feed.next().x, *noise, 1));
    }
  }
  Recipe recipe;
  std::unique_ptr<Experiment> experiment;
  Metrics metrics;
};

void compare(const std::string& name, std::vector<std::string> sets) {
  sets.push_back("train.batch=3");
  try {
    const Run cuda(name, sets, Device::cuda), cpu(name, sets, Device::cpu);
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
  } catch (const Error& e) {
    if (std::string(e.what()).find(kNoCudaKernel) == std::string::npos) throw;
    MESSAGE("an op has no CUDA half yet");
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
TEST_CASE("VAEGAN with channel dropout") {
  compare("dae-vaegan-cifar10",
          {"data.kind=procedural", "model.width=0.02", "model.z_dim=7", "schedule.weak=dropout"});
}
