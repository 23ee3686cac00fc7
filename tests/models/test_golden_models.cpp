// Ten training steps of small models against PyTorch: the losses, the gradients of the first step, and every
// weight and running statistic after the last step. A GAN is chaotic in f32, so its losses are compared in
// f64.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/files/safetensors.h"
#include "tests/support/golden.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"

namespace dae {

namespace {

// Gives the recorded rows of noise in the order of the draws.
class RecordedNoise : public Noise {
 public:
  explicit RecordedNoise(const Tensor& rows) : rows_(rows) {}
  Tensor normal(const Shape& shape, Dtype dtype) override {
    REQUIRE(shape[1] == rows_.dim(1));
    REQUIRE(used_ + shape[0] <= rows_.dim(0));
    used_ += shape[0];
    return slice(rows_, 0, used_ - shape[0], used_).to(dtype);
  }
  Key key() override { fail(Fault::internal, "golden models: expected no dropout, found a draw of a mask"); }
  bool all_used() const { return used_ == rows_.dim(0); }

 private:
  Tensor rows_;
  int64_t used_ = 0;
};

// Returns the settings that the script recorded. The toy model has no width, so that one is left out.
std::vector<std::string> settings(const Golden& golden, const std::string& recipe) {
  std::vector<std::string> sets;
  for (const std::string& key : golden.names("recipe."))
    if (recipe != "toy" || key != "model.width")
      sets.push_back(fmt::format("{}={}", key, golden["recipe." + key].item()));
  return sets;
}

struct Run {
  Run(const Golden& golden, const std::string& recipe_name, const std::string& dtype, int stage)
      : golden(golden) {
    std::vector<std::string> sets = {fmt::format("dtype=\"{}\"", dtype)};
    for (const std::string& set : settings(golden, recipe_name)) sets.push_back(set);
    recipe = load_recipe(recipe_name, sets);
    learner = make_learner(recipe, stage);
    fill_by_formula(learner->state());
  }
  Metrics step(int64_t index) {
    const Tensor images = from_torch(golden["images"]);
    const int64_t batch = recipe.train.batch, begin = index * batch % images.dim(0);
    const double factor =
        recipe.optimizer.decay == "linear" ? 1 - double(index) / double(recipe.train.steps) : 1;
    learner->set_lr_factor(factor);
    return read(
        learner->step({slice(images, 0, begin, begin + batch).to(dtype_from(recipe.dtype)), {}}, {noise, 1}));
  }
  // Checks the recorded losses of a step. The learner may log others.
  void check_losses(const Metrics& metrics, const std::string& prefix, int64_t index, double limit) {
    for (const std::string& name : golden.names(prefix)) {
      const auto found =
          std::find_if(metrics.begin(), metrics.end(), [&](const auto& m) { return m.first == name; });
      REQUIRE_MESSAGE(found != metrics.end(), name);
      const double expected = golden[prefix + name].values()[index];
      INFO(name, " of step ", index, ": expected ", expected, ", found ", found->second);
      CHECK(std::abs(found->second - expected) <= limit * std::abs(expected));
    }
  }
  // After the first step Adam's first moment is (1 - beta1) times the gradient.
  void check_gradients(double limit) {
    size_t seen = 0;
    for (auto& [name, optimizer] : learner->optimizers()) {
      for (Group& group : optimizer->groups()) {
        if (group.frozen || optimizer->steps(group.name) == 0) continue;  // 0: the balance rule paused it
        for (const Param* p : group.params) {
          NoGrad off;
          const Tensor g = scale(optimizer->moments(*p).m, 1 / (1 - recipe.optimizer.beta1));
          const Tensor in_file_order = p->layout == Layout::conv ? permute(g, {0, 3, 1, 2}) : g;
          check_summary(p->name, in_file_order, golden["grad." + p->name], limit);
          ++seen;
        }
      }
    }
    CHECK(seen == golden.names("grad.").size());
  }
  void check_state(double limit) {
    const std::vector<Param*> state = learner->state();
    CHECK(state.size() == golden.names("final.").size());
    for (const Param* p : state) {
      INFO(p->name);
      const Tensor& expected = golden["final." + p->name];
      if (p->counter) CHECK(p->value.item() == expected.item());
      else check_summary(p->name, p->to_file(), expected, limit);
    }
  }

  const Golden& golden;
  Recipe recipe;
  std::unique_ptr<Learner> learner;
  RecordedNoise noise{golden["noise"]};
};

// Compares in f64 all losses, the gradients and the weights, and in f32 the first step with PyTorch's in f32.
void compare(const std::string& file, const std::string& recipe, int stage = 1) {
  const Golden golden(file);
  Run run(golden, recipe, "f64", stage);
  for (int64_t i = 0; i < run.recipe.train.steps; ++i) {
    run.check_losses(run.step(i), "losses.", i, 1e-8);
    if (i == 0) run.check_gradients(1e-8);
  }
  run.check_state(1e-8);
  CHECK(run.noise.all_used());

  Run first(golden, recipe, "f32", stage);
  first.check_losses(first.step(0), "first.", 0, 1e-5);
}

// Compares the losses of `dae train --init` on a tensors data set, which logs one object a step.
void compare_program(const std::string& file, const std::string& recipe, const std::string& dtype,
                     const std::string& prefix, double limit) {
  namespace fs = std::filesystem;
  const Golden golden(file);
  Run run(golden, recipe, dtype, 1);
  const fs::path folder = fs::temp_directory_path() / fmt::format("dae-golden-{}", getpid());
  fs::remove_all(folder);
  fs::create_directories(folder);
  std::vector<TensorEntry> entries;
  for (const char* name : {"images", "noise"}) {
    const Tensor& t = golden[name];
    entries.push_back({name, "F32", {t.shape().begin(), t.shape().end()}, t.raw(), size_t(t.bytes())});
  }
  save_safetensors(folder / "data.safetensors", entries, {});
  save_checkpoint(folder / "weights.safetensors", *run.learner, {});
  std::string command = fmt::format(
      "{0} train {1} -q --init {2}/weights.safetensors --out {2}/run --set dtype={3} --set data.kind=tensors "
      "--set data.path={2}/data.safetensors --set data.shuffle=false --set data.flip=false "
      "--set data.count=0 --set train.log_every=1",
      DAE_PROGRAM, recipe, folder.string(), dtype);
  for (const std::string& set : settings(golden, recipe)) command += " --set " + set;
  REQUIRE(std::system(command.c_str()) == 0);

  const std::vector<std::string> names = golden.names(prefix);
  const size_t count = golden[prefix + names.at(0)].values().size();
  std::ifstream log(folder / "run/metrics.jsonl");
  std::string line;
  for (size_t i = 0; i < count; ++i) {
    REQUIRE(std::getline(log, line));
    const auto object = nlohmann::json::parse(line);
    for (const std::string& name : names) {
      const double expected = golden[prefix + name].values()[i];
      INFO(name, " of step ", i + 1, ": expected ", expected, ", found ", object[name].get<double>());
      CHECK(std::abs(object[name].get<double>() - expected) <= limit * std::abs(expected));
    }
  }
  fs::remove_all(folder);
}

}  // namespace

TEST_CASE("DCGAN") { compare("dcgan-small.safetensors", "dcgan-cifar10"); }
TEST_CASE("VAE") { compare("vae-small.safetensors", "vae-cifar10"); }
TEST_CASE("VAEGAN") { compare("vaegan-small.safetensors", "vaegan-cifar10"); }
TEST_CASE("VAEGAN: its discriminator's width, pixels, one pass of the generator, the balance rule") {
  compare("vaegan-small-keys.safetensors", "vaegan-cifar10");
}
TEST_CASE("VAEGAN, stage 2 of DAE") { compare("vaegan-small-stage2.safetensors", "dae-vaegan-cifar10", 2); }
TEST_CASE("toy VAE") {
  compare("toy-small.safetensors", "toy");
  const Golden golden("toy-small.safetensors");
  Run run(golden, "toy", "f32", 1);
  for (int64_t i = 0; i < run.recipe.train.steps; ++i) run.check_losses(run.step(i), "losses.", i, 1e-4);
}
TEST_CASE("the program: toy VAE over ten steps in f32") {
  compare_program("toy-small.safetensors", "toy", "f32", "losses.", 1e-4);
}
TEST_CASE("the program: GANs over ten steps in f64, and their first step in f32") {
  for (const auto& [file, recipe] : {std::pair("dcgan-small.safetensors", "dcgan-cifar10"),
                                     std::pair("vaegan-small.safetensors", "vaegan-cifar10")}) {
    compare_program(file, recipe, "f64", "losses.", 1e-8);
    compare_program(file, recipe, "f32", "first.", 1e-5);
  }
}

}  // namespace dae
