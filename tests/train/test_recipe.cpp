// Recipes: reading, writing, and the one-line message for a wrong recipe.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "kernels/device/error.h"
#include "train/feed/feed.h"
#include "train/learners/registry.h"
#include "train/recipe/recipe.h"

namespace dae {

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
    const std::vector<std::string> encoder = {"upstream.run=runs/simclr"};
    const Recipe recipe = load_recipe(name, encoder, Device::cpu, Sets::shared);
    const std::string text = to_toml(recipe);
    CHECK(to_toml(load_recipe(write(text))) == text);
  }
}

TEST_CASE("numbers of the CIFAR-10 recipes") {
  const Recipe joint = load_recipe("vaegan-cifar10"), dae = load_recipe("dae-vaegan-cifar10");
  CHECK(number(joint, "loss.kl") == 1.0 / 2048);
  CHECK(joint.train.steps == 50000);
  CHECK(joint.train.batch == 128);
  CHECK(joint.optimizer.lr == 2e-4);
  CHECK(joint.optimizer.beta1 == 0.5);
  CHECK(joint.optimizer.beta2 == 0.9);
  Recipe same = dae;
  same.schedule = joint.schedule;
  CHECK(value(dae, "schedule.discriminator") == "keep");
  CHECK(to_toml(same) == to_toml(joint));
  CHECK(dae.schedule.kind == "dae");
  const Recipe dcgan = load_recipe("dcgan-cifar10");
  same = load_recipe("dcgan-simclr-cifar10", {"upstream.run=runs/simclr"});
  same.model = dcgan.model, same.own = dcgan.own, same.optimizers = dcgan.optimizers;
  CHECK(to_toml(same) == to_toml(dcgan));
}

TEST_CASE("a resolved recipe keeps every digit and odd characters") {
  Recipe recipe = load_recipe("toy");
  set(recipe, "loss.kl=0.30000000000000004");
  recipe.optimizer.lr = 1e-5 / 3;
  recipe.data.kind = "folder";
  recipe.data.path = "/a \"quoted\\path\"\twith #";
  const Recipe again = load_recipe(write(to_toml(recipe)));
  CHECK(number(again, "loss.kl") == 0.1 + 0.2);
  CHECK(again.optimizer.lr == recipe.optimizer.lr);
  CHECK(again.data.path == recipe.data.path);
}

TEST_CASE("the weight of the pixels where a file does not say it, and in a run of before they had one") {
  CHECK(number(load_recipe(write("[model]\nkind = \"toy\"\n")), "loss.reconstruction") == 1);
  CHECK(number(load_recipe(write("[model]\nkind = \"vae\"\n")), "loss.reconstruction") == 1);
  CHECK(number(load_recipe(write("[model]\nkind = \"vaegan\"\n")), "loss.reconstruction") == 0);
  CHECK(number(load_recipe(write("[model]\nkind = \"toy\"\n"), {"loss.reconstruction=3"}),
               "loss.reconstruction") == 3);
  const auto run = std::filesystem::temp_directory_path() / ("dae-run-" + std::to_string(getpid()));
  std::filesystem::create_directory(run);
  const std::string file = (run / "recipe.toml").string(), before = "[loss]\nreconstruction = 1.0\n";
  std::ofstream(file) << "[model]\nkind = \"vaegan\"\n" << before;
  CHECK(number(load_recipe(file), "loss.reconstruction") == 0);
  std::ofstream(file) << "[model]\nkind = \"vaegan\"\n" << before << "balance = 0.0\n";
  CHECK(number(load_recipe(file), "loss.reconstruction") == 1);
  std::ofstream(file) << "[model]\nkind = \"toy\"\n" << before;
  CHECK(number(load_recipe(file), "loss.reconstruction") == 1);
  std::filesystem::remove_all(run);
}

TEST_CASE("--set takes TOML values and bare words, the last one wins") {
  const Recipe r = load_recipe(
      "toy", {"train.steps=7", "train.steps=8", "dtype=f64", "data.kind=folder", "data.path=/a/b c#d",
              "schedule.kind=\"dae\"", "schedule.switch=0.25", "data.shuffle=false"});
  CHECK(r.train.steps == 8);
  CHECK(r.dtype == "f64");
  CHECK(r.data.path == "/a/b c#d");
  CHECK(r.schedule.kind == "dae");
  CHECK(r.schedule.switch_at == 0.25);
  CHECK_FALSE(r.data.shuffle);
}

TEST_CASE("a key that nothing reads is refused, in a file and in --set") {
  const std::string vaegan = "[model]\nkind = \"vaegan\"\n", dae = "[schedule]\nkind = \"dae\"\n";
  const struct {
    std::string text;
    std::vector<std::string> sets;
    std::string says;  // empty: it passes
  } rows[] = {
      {vaegan, {"loss.temperature=100"}, "has no effect on a vaegan: expected model.kind simclr"},
      {vaegan + "[loss]\ntemperature = 100.0\n", {}, ":4: loss.temperature has no effect on a vaegan"},
      {"[model]\nkind = \"dcgan\"\n", {"loss.reconstruction=100"}, "has no effect on a dcgan"},
      {"[model]\nkind = \"dcgan\"\n", {"loss.reconstruction=0"}, ""},
      {vaegan, {"schedule.width=0.3"}, "schedule.width has no effect with schedule.kind joint"},
      {vaegan + dae, {"schedule.width=0.3"}, ""},
      {vaegan + dae, {"schedule.drop=0.3"}, "schedule.drop has no effect with schedule.weak width"},
      {vaegan + dae, {"schedule.drop=0.3", "schedule.weak=dropout"}, ""},
      {vaegan + dae + "width = 0.25\n", {"schedule.kind=joint"}, ""},  // the file's width goes too
      {vaegan, {"data.variance=1"}, "data.variance has no effect with data.kind cifar10"},
      {vaegan, {"data.kind=procedural", "data.path=x"}, "data.path has no effect with data.kind procedural"},
      {vaegan, {"optimizer.loss_scale=2"}, "optimizer.loss_scale has no effect with dtype f32"},
      {vaegan, {"probe.train=2"}, "expected probe.every other than 0"},
      {vaegan, {"train.graph=true"}, "train.graph has no effect with device cpu: expected device cuda"},
      {vaegan + "[train]\ngraph = true\n", {}, ""},  // a run may move to another device
      {"[model]\nkind = \"toy\"\nwidth = 8.0\n", {}, "model.width has no effect on a toy"},
      {"[model]\nkind = \"toy\"\n", {"model.width=8"}, "model.width has no effect on a toy"},
  };
  for (const auto& row : rows) {
    const std::string line = error_of(row.text, row.sets);
    INFO(row.text, line);
    CHECK(line.empty() == row.says.empty());
    CHECK(has(line, row.says));
  }
  CHECK(load_recipe("toy", {"train.graph=true"}, Device::cuda).train.graph);
  // The recipe in a run folder is as its version wrote it, possibly with every key.
  const std::filesystem::path run = std::filesystem::temp_directory_path() / "dae-test-run";
  std::filesystem::create_directories(run);
  std::ofstream(run / "recipe.toml") << vaegan + "[loss]\ntemperature = 0.7\n";
  CHECK(load_recipe((run / "recipe.toml").string()).model.kind == "vaegan");
  CHECK_THROWS_AS(load_recipe((run / "recipe.toml").string(), {"loss.temperature=0.8"}), Error);
  std::filesystem::remove_all(run);
}

TEST_CASE("every key has an effect on some recipe, and a run's own text has none that does nothing") {
  std::vector<std::string> shared = {
      "upstream.run=x", "optimizer.weight_decay=1", "probe.every=1",         "schedule.weak=dropout",
      "loss.kl=2",      "data.validation=x",        "optimizer.decay=cosine"};
  for (const char* optimizer : {"autoencoder", "generator", "discriminator", "encoder"})
    for (const char* setting : {"lr=1", "beta1=0.1", "beta2=0.2", "weight_decay=1", "decoupled=false"})
      shared.push_back(fmt::format("optimizer.{}.{}", optimizer, setting));
  std::set<std::string> lines;
  for (const char* name : {"toy", "dcgan-cifar10", "vaegan-cifar10", "dae-vaegan-cifar10", "simclr-cifar10",
                           "dcgan-simclr-cifar10"})
    for (const std::vector<std::string>& more :
         {std::vector<std::string>{}, {"dtype=f16", "data.kind=folder"}, {"data.kind=procedural"}}) {
      std::vector<std::string> sets = shared;
      sets.insert(sets.end(), more.begin(), more.end());
      if (more.empty()) sets.push_back("schedule.weak=width");
      const std::string text = to_toml(load_recipe(name, sets, Device::cpu, Sets::shared));
      const std::string again = to_toml(load_recipe(write(text)));
      CHECK(again == text);
      std::istringstream in(text);
      std::string section;
      for (std::string line; std::getline(in, line);)
        if (line.starts_with('[')) section = line.substr(1, line.size() - 2) + ".";
        else if (const size_t equals = line.find(" = "); equals != std::string::npos)
          lines.insert(section + line.substr(0, equals));
    }
  CHECK(lines.size() == recipe_keys().size());
  for (const std::string& key : recipe_keys()) CHECK_MESSAGE(lines.contains(key), key);
}

TEST_CASE("settings that recipes share need an effect on one of them") {
  const auto recipes = [](const std::vector<std::string>& sets) {
    return std::vector<Recipe>{load_recipe("toy", sets, Device::cpu, Sets::shared),
                               load_recipe("dcgan-cifar10", sets, Device::cpu, Sets::shared)};
  };
  const std::vector<std::string> some = {"model.width=2", "loss.kl=3"}, none = {"loss.feature=2"};
  check_effect(some, recipes(some));
  const auto of = recipes(none);
  CHECK_THROWS_WITH_AS(check_effect(none, of), doctest::Contains("loss.feature has no effect on a"), Error);
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
      {"seed = 1\n", {"model.kind", "toy|vae|vaegan"}},
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

TEST_CASE("an optimizer of its own rate and betas, in a table of its name") {
  const std::string text =
      "[model]\nkind = \"vaegan\"\nwidth = 0.03125\ndiscriminator_width = 0.03125\nz_dim = 3\n"
      "[optimizer]\nlr = 0.001\nbeta1 = 0.5\n[optimizer.discriminator]\nlr = 0.004\nbeta1 = 0.25\n";
  const Recipe recipe = load_recipe(write(text));
  CHECK(to_toml(load_recipe(write(to_toml(recipe)))) == to_toml(recipe));
  CHECK(has(to_toml(recipe), "[optimizer.discriminator]\nlr = 0.004\nbeta1 = 0.25\n"));
  CHECK_FALSE(has(to_toml(recipe), "[optimizer.autoencoder]"));  // what is not given is not written
  const auto learner = make_learner(recipe);
  for (const auto& [name, optimizer] : learner->optimizers()) {
    const bool own = name == "discriminator";
    CHECK(optimizer->options().beta1 == (own ? 0.25 : 0.5));
    for (const Group& group : optimizer->groups()) CHECK(group.lr == (own ? 0.004 : 0.001));
  }
  CHECK(
      has(error_of(text, {"optimizer.generator.lr=1"}), "no effect on a vaegan: expected model.kind dcgan"));
}

TEST_CASE("the names of older versions for a run that a run is built on are still read") {
  const std::string text =
      "[model]\nkind = \"dcgan-simclr\"\nencoder = \"/a/simclr\"\nencoder_hash = \"1234abcd\"\n";
  for (const Recipe& recipe :
       {load_recipe(write(text)),
        load_recipe("dcgan-simclr-cifar10", {"model.encoder=/a/simclr", "model.encoder_hash=1234abcd"})}) {
    CHECK(recipe.upstream.run == "/a/simclr");
    CHECK(recipe.upstream.hash == "1234abcd");
    CHECK(has(to_toml(recipe), "[upstream]\nrun = \"/a/simclr\"\nhash = \"1234abcd\"\n"));
  }
}

TEST_CASE("data.validation names what is not trained on") {
  const Recipe recipe = load_recipe("vae-cifar10", {"data.path=/a", "data.validation=/b", "data.count=7"});
  const std::optional<Recipe> others = held_out(recipe);
  REQUIRE(others);
  CHECK(others->data.path == "/b");
  CHECK(others->data.count == 0);
  CHECK_FALSE(held_out(load_recipe("vae-cifar10", {"data.path=/a"})));
}

}  // namespace dae
