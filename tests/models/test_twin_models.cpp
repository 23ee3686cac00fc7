// Two training steps of a tiny model of each kind on CUDA against the CPU, in f32: losses, weights, running
// statistics and Adam's moments to 1e-4. The two sum in f32 in different orders (1e-6 a tensor, as f32 on the
// CPU against f64); the limit leaves two digits.
//
// Two effects magnify such a difference without bound.
//
// Adam's first steps divide a gradient by its own size, so an element whose gradient is smaller than its
// rounding error moves by the whole rate in either direction. Therefore the GANs have a rate of 1e-6, which
// does not feed back. Biases and moments start at zero, so they still show every update in full.
//
// Among the 10^5 inputs of a step's ReLUs, in about one step of three one is so near to zero that its sign
// changes. That alone changes gradients by 1e-2; on the CPU too, if the weights are moved by 1e-6. So a
// correct model can disagree for some seeds, and a wrong one disagrees for all.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "tests/rows/rows.h"
#include "train/feed/feed.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"

namespace dae {

namespace {

constexpr double kLimit = 1e-4;

struct Run {
  Run(const std::string& name, const std::vector<std::string>& sets, Device device) {
    recipe = load_recipe(name, sets);
    recipe.device = device;
    learner = make_learner(recipe);
    Feed feed(recipe, 0);
    for (uint32_t step = 1; step <= 2; ++step) {
      const std::unique_ptr<Noise> noise = drawn_noise(recipe.seed, step, device);
      metrics = read(learner->step(feed.next(), {*noise, 1}));
    }
  }
  Recipe recipe;
  std::unique_ptr<Learner> learner;
  Metrics metrics;
};

// Returns a line for each thing that differs by more than the limit.
std::string difference(const std::string& name, std::vector<std::string> sets, int seed) {
  sets.insert(sets.end(), {"train.batch=3", fmt::format("seed={}", seed)});
  const Run cuda(name, sets, Device::cuda), cpu(name, sets, Device::cpu);
  std::string found;
  const auto expect = [&](const std::string& what, double error, double limit) {
    if (!(error <= limit)) found += fmt::format("seed {}: {}: {:.1e}\n", seed, what, error);
  };
  REQUIRE(cuda.metrics.size() == cpu.metrics.size());
  for (size_t i = 0; i < cpu.metrics.size(); ++i) {
    const auto& [metric, value] = cpu.metrics[i];
    expect(metric, std::abs(cuda.metrics[i].second / value - 1), kLimit);
  }
  const std::vector<Param*> there = cuda.learner->state(), here = cpu.learner->state();
  REQUIRE(there.size() == here.size());
  for (size_t i = 0; i < here.size(); ++i) {
    CHECK(there[i]->value.device() == Device::cuda);
    expect(here[i]->name, relative_error(there[i]->value, here[i]->value), kLimit);
  }
  const auto cuda_optimizers = cuda.learner->optimizers(), cpu_optimizers = cpu.learner->optimizers();
  for (size_t k = 0; k < cpu_optimizers.size(); ++k) {
    const std::vector<Param*> on_cuda = cuda_optimizers[k].second->trainable(),
                              on_cpu = cpu_optimizers[k].second->trainable();
    REQUIRE(on_cuda.size() == on_cpu.size());
    for (size_t i = 0; i < on_cpu.size(); ++i) {
      const AdamW::Moments &a = cuda_optimizers[k].second->moments(*on_cuda[i]),
                           &b = cpu_optimizers[k].second->moments(*on_cpu[i]);
      expect("m of " + on_cpu[i]->name, relative_error(a.m, b.m), kLimit);
      expect("v of " + on_cpu[i]->name, relative_error(a.v, b.v),
             2 * kLimit);  // squares double a relative error
    }
  }
  return found;
}

void compare(const std::string& name, const std::vector<std::string>& sets) {
  std::string found;
  for (int seed = 0; seed < 5; ++seed) {
    const std::string here = difference(name, sets, seed);
    if (here.empty()) return;
    found += here;
  }
  FAIL(found);
}

}  // namespace

TEST_CASE("toy VAE") { compare("toy", {"model.encoder_hidden=13", "model.decoder_hidden=11"}); }
const std::vector<std::string> kTiny = {"data.kind=procedural", "model.width=0.02", "model.z_dim=7",
                                        "optimizer.lr=1e-6"};
TEST_CASE("DCGAN") { compare("dcgan-cifar10", kTiny); }
TEST_CASE("SimCLR") {
  std::vector<std::string> sets = kTiny;
  // The width gives three channels. With one channel, a following batch norm removes the scale of a gain or
  // weight, so its gradient is 0 and its computed value only rounding.
  sets.insert(sets.end(), {"model.width=0.05", "probe.every=0"});
  compare("simclr-cifar10", sets);
}
TEST_CASE("DCGAN on SimCLR's latents") {
  const std::string encoder =
      std::filesystem::temp_directory_path() / fmt::format("dae-twin-{}.safetensors", getpid());
  std::vector<std::string> sets = kTiny;
  sets.push_back("train.batch=3");
  save_checkpoint(encoder, *make_learner(load_recipe("simclr-cifar10", sets)), {});
  sets.push_back("upstream.run=" + encoder);
  compare("dcgan-simclr-cifar10", sets);
  std::filesystem::remove(encoder);
}
TEST_CASE("VAEGAN") { compare("vaegan-cifar10", kTiny); }
TEST_CASE("VAEGAN with channel dropout") {
  std::vector<std::string> sets = kTiny;
  sets.push_back("schedule.weak=dropout");
  compare("dae-vaegan-cifar10", sets);
}

}  // namespace dae
