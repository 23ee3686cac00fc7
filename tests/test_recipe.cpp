// Recipes: what is read, what is written back, and the one line that a wrong one gets.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "kernels/error.h"
#include "train/recipe.h"

static std::string write(const std::string& text) {
  const std::string path = (std::filesystem::temp_directory_path() / "dae-test-recipe.toml").string();
  std::ofstream(path) << text;
  return path;
}

static std::string error_of(const std::string& text, const std::vector<std::string>& sets = {}) {
  try {
    load_recipe(write(text), sets);
  } catch (const Error& e) {
    CHECK(e.fault == Fault::usage);
    return e.what();
  }
  return "";
}

static bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("shipped recipes load, and survive being written and read") {
  for (const char* name : {"toy", "dcgan-cifar10", "vaegan-cifar10", "dae-vaegan-cifar10.toml",
                           "simclr-cifar10", "dcgan-simclr-cifar10"}) {
    const Recipe recipe = load_recipe(name, {"model.encoder=runs/simclr"});
    const std::string text = to_toml(recipe);
    CHECK(to_toml(load_recipe(write(text))) == text);
  }
}

TEST_CASE("numbers of the CIFAR-10 recipes") {
  const Recipe joint = load_recipe("vaegan-cifar10"), dae = load_recipe("dae-vaegan-cifar10");
  CHECK(joint.loss.kl == 1.0 / 2048);
  CHECK(joint.train.steps == 50000);
  CHECK(joint.train.batch == 128);
  CHECK(joint.optimizer.lr == 2e-4);
  CHECK(joint.optimizer.beta1 == 0.5);
  CHECK(joint.optimizer.beta2 == 0.9);
  Recipe same = dae;
  same.schedule = joint.schedule;
  CHECK(to_toml(same) == to_toml(joint));
  CHECK(dae.schedule.kind == "dae");
  const Recipe dcgan = load_recipe("dcgan-cifar10");
  same = load_recipe("dcgan-simclr-cifar10", {"model.encoder=runs/simclr"});
  same.model = dcgan.model;
  CHECK(to_toml(same) == to_toml(dcgan));
}

TEST_CASE("a resolved recipe keeps every digit and odd characters") {
  Recipe recipe = load_recipe("toy");
  recipe.loss.kl = 0.1 + 0.2;
  recipe.optimizer.lr = 1e-5 / 3;
  recipe.data.path = "a \"quoted\\path\"\twith #";
  const Recipe again = load_recipe(write(to_toml(recipe)));
  CHECK(again.loss.kl == recipe.loss.kl);
  CHECK(again.optimizer.lr == recipe.optimizer.lr);
  CHECK(again.data.path == recipe.data.path);
}

TEST_CASE("--set takes TOML values and bare words, the last one wins") {
  const Recipe r =
      load_recipe("toy", {"train.steps=7", "train.steps=8", "dtype=f64", "data.path=/a/b c#d",
                          "schedule.kind=\"dae\"", "schedule.switch=0.25", "data.shuffle=false"});
  CHECK(r.train.steps == 8);
  CHECK(r.dtype == "f64");
  CHECK(r.data.path == "/a/b c#d");
  CHECK(r.schedule.kind == "dae");
  CHECK(r.schedule.switch_at == 0.25);
  CHECK_FALSE(r.data.shuffle);
}

TEST_CASE("errors name the key, what was expected and what was found, in one line") {
  const std::string good = "[model]\nkind = \"toy\"\n";
  CHECK(error_of(good).empty());
  const struct {
    std::string text;
    std::vector<std::string> parts;
  } rows[] = {
      {good + "[train]\nstep = 3\n", {"train.step", "nearest", "train.steps", ":4"}},
      {good + "[shedule]\nkind = \"dae\"\n", {"shedule.kind", "schedule.kind"}},
      {good + "[train]\nbatch = \"big\"\n", {"train.batch", "integer", "big"}},
      {good + "[train]\nbatch = 1.5\n", {"train.batch", "integer", "1.5"}},
      {good + "[train]\nsteps = 0\n", {"train.steps", "at least 1", "0"}},
      {good + "[schedule]\ndrop = 1.0\n", {"schedule.drop", "below 1", "1.0"}},
      {good + "[schedule]\nkind = \"both\"\n", {"schedule.kind", "joint|dae", "both"}},
      {good + "[loss]\nkl = nan\n", {"loss.kl", "at least 0", "nan"}},
      {good + "[data]\nflip = 1\n", {"data.flip", "true or false", "1"}},
      {good + "train = 3\n", {"model.train", "unknown key"}},
      {"model = 3\n", {"unknown key", "model"}},
      {"[model\n", {"expected TOML", ":1"}},
      {"seed = 1\n", {"model.kind", "toy|dcgan|vaegan"}},
      {"seed = -1\n" + good, {"seed", "at least 0", "-1"}},
      {"[model]\nkind = \"dcgan\"\n[schedule]\nkind = \"dae\"\n", {"schedule.kind", "no encoder"}},
  };
  for (const auto& row : rows) {
    const std::string line = error_of(row.text);
    INFO(row.text, line);
    CHECK_FALSE(line.empty());
    CHECK_FALSE(has(line, "\n"));
    for (const std::string& part : row.parts) CHECK(has(line, part));
  }
  CHECK(has(error_of(good, {"train.steps"}), "key=value"));
  CHECK(has(error_of(good, {"train.stops=3"}), "train.steps"));
  CHECK(has(error_of(good, {"train.steps=many"}), "many"));
}
