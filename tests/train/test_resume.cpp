// A run that was killed and resumed writes the same checkpoints, metrics and pictures, byte by byte, as one
// that was not.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "data/files/safetensors.h"
#include "kernels/device/philox.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

const fs::path kFolder = fs::temp_directory_path() / ("dae-resume-" + std::to_string(getpid()));

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// Returns the files of a run that must not depend on how often it was stopped.
std::map<std::string, std::string> contents(const fs::path& run) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const std::string name = fs::relative(entry.path(), run).string();
    if (name == "metrics.jsonl" || name == "recipe.toml" || name.rfind("checkpoints/", 0) == 0 ||
        name.rfind("samples/", 0) == 0)
      if (entry.is_regular_file()) out[name] = read(entry.path());
  }
  return out;
}

void check_same(const fs::path& a, const fs::path& b) {
  const auto x = contents(a), y = contents(b);
  CHECK(x.size() == y.size());
  for (const auto& [name, bytes] : x) {
    INFO(name);
    REQUIRE(y.count(name) == 1);
    CHECK(bytes == y.at(name));
  }
}

int64_t lines(const fs::path& path) {
  const std::string text = read(path);
  return std::count(text.begin(), text.end(), '\n');
}

// Starts the program with the words of the recipe, the number of threads, the folder, and --resume if asked
// for.
pid_t start(std::vector<std::string> recipe, const std::string& name, int threads, bool resume) {
  std::vector<std::string> words = {DAE_PROGRAM, "train"};
  words.insert(words.end(), recipe.begin(), recipe.end());
  for (const std::string& word :
       {std::string("-q"), "--threads=" + std::to_string(threads), "--out=" + (kFolder / name).string()})
    words.push_back(word);
  if (resume) words.push_back("--resume");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  return child;
}

// Runs the program and returns its wait status. Sends `signal`, if not 0, once `stop_after` steps are logged.
int train(const std::vector<std::string>& recipe, const std::string& name, int threads, bool resume,
          int signal = 0, int64_t stop_after = 0) {
  const pid_t child = start(recipe, name, threads, resume);
  int status = 0;
  while (signal && lines(kFolder / name / "metrics.jsonl") < stop_after) {
    if (waitpid(child, &status, WNOHANG) == child) return status;  // it ended before the signal
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (signal) kill(child, signal);
  waitpid(child, &status, 0);
  return status;
}

void check_stopped(int status, int code) {
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == code);
}

using Words = std::vector<std::string>;

// Returns settings that log every step and make checkpoints and pictures at different steps. The batch is 4
// and the networks are narrow; most of the work is the discriminator, which keeps its width.
Words small(const std::string& recipe, int64_t steps, int64_t checkpoint_every, const Words& sets = {}) {
  Words all = {"train.steps=" + std::to_string(steps),
               "train.checkpoint_every=" + std::to_string(checkpoint_every),
               "train.log_every=1",
               "train.sample_every=5",
               "train.batch=4",
               "data.count=30"};
  if (recipe != "toy")
    for (const char* set : {"data.kind=procedural", "model.width=0.03125", "model.z_dim=8"})
      all.push_back(set);
  all.insert(all.end(), sets.begin(), sets.end());
  Words words = {recipe};
  for (const std::string& set : all) words.insert(words.end(), {"--set", set});
  return words;
}

void fresh_folder() {
  fs::remove_all(kFolder);
  fs::create_directories(kFolder);
}

}  // namespace

TEST_CASE("resume is bit-exact for every model, after SIGTERM, SIGINT and kill -9, for 1 and 2 threads") {
  struct Case {
    std::string model;
    Words sets;
    int64_t scale = 1;  // the steps in a twelfth of the run; more for the toy model, whose steps are short
  };
  // It lies outside kFolder, which each case empties.
  const std::string encoder = kFolder.string() + "-encoder.safetensors";
  const Recipe simclr =
      load_recipe("simclr-cifar10", {"model.width=0.03125", "model.z_dim=8", "train.batch=4"});
  save_checkpoint(encoder, *make_learner(simclr), {});
  const std::vector<Case> cases = {
      {"toy", {"optimizer.ema=0.9", "optimizer.decay=linear"}, 100},
      {"toy", {"schedule.kind=dae", "schedule.weak=width", "optimizer.ema=0.9"}, 100},
      {"dcgan-cifar10", {"optimizer.ema=0.9"}},
      {"vaegan-cifar10", {"optimizer.decay=constant"}},
      {"simclr-cifar10", {"probe.every=5", "probe.train=18", "probe.test=12", "probe.neighbours=7"}},
      {"dcgan-simclr-cifar10", {"upstream.run=" + encoder}},
      {"dae-vaegan-cifar10", {"schedule.weak=width", "optimizer.ema=0.9"}},
      {"dae-vaegan-cifar10", {"schedule.weak=dropout"}},
      {"vae-cifar10", {"schedule.kind=dae"}},
      {"dae-vaegan-cifar10",
       {"model.discriminator_width=0.03125", "model.generator_passes=1", "loss.reconstruction=1",
        "loss.balance=0.01", "schedule.rates=restart", "schedule.discriminator=fresh"}}};
  for (const Case& c : cases) {
    INFO(c.model, " ", c.sets[0]);
    const Words recipe = small(c.model, 12 * c.scale, 6 * c.scale, c.sets);
    fresh_folder();
    REQUIRE(train(recipe, "whole", 1, false) == 0);
    CHECK(lines(kFolder / "whole/metrics.jsonl") == 12 * c.scale);

    check_stopped(train(recipe, "stopped", 2, false, SIGTERM, 2 * c.scale), 143);
    // The DAE switch, at half of the steps, lies between these two stops.
    check_stopped(train(recipe, "stopped", 2, true, SIGINT, 7 * c.scale), 130);
    CHECK(WIFSIGNALED(train(recipe, "stopped", 1, true, SIGKILL, 9 * c.scale)));
    REQUIRE(train(recipe, "stopped", 1, true) == 0);
    check_same(kFolder / "whole", kFolder / "stopped");
  }
  fs::remove_all(kFolder);
  fs::remove(encoder);
}

TEST_CASE("kill -9 at any moment leaves a run that goes on to the same bytes") {
  // Every step writes a checkpoint, which takes most of the time.
  const Words recipe = small("toy", 40, 1, {"optimizer.ema=0.9", "schedule.kind=dae", "schedule.weak=width"});
  fresh_folder();
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(train(recipe, "whole", 1, false) == 0);
  // Delays are fractions of a whole run, so that the kills fall within it on fast and on slow machines.
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begin;
  std::mt19937 random(7);
  std::uniform_real_distribution<double> share(0, 0.25);
  int killed = 0;
  for (int round = 0; round < 3; ++round) {
    fs::remove_all(kFolder / "stopped");
    for (int attempt = 0; attempt < 8; ++attempt) {
      const bool resume = fs::exists(kFolder / "stopped/recipe.toml");
      const pid_t child = start(recipe, "stopped", 1 + attempt % 2, resume);
      std::this_thread::sleep_for(share(random) * whole);
      kill(child, SIGKILL);
      int status = 0;
      waitpid(child, &status, 0);
      killed += WIFSIGNALED(status);
      if (WIFEXITED(status)) CHECK(WEXITSTATUS(status) == 0);  // it ended before the kill
    }
    REQUIRE(train(recipe, "stopped", 2, fs::exists(kFolder / "stopped/recipe.toml")) == 0);
    check_same(kFolder / "whole", kFolder / "stopped");
  }
  CHECK(killed > 5);
  fs::remove_all(kFolder);
}

TEST_CASE("every part of a checkpoint counts: a run resumed with one of them changed takes another course") {
  fresh_folder();
  // Vectors and recorded noise, so that the position in both is part of the state.
  std::vector<float> images(80 * 10), noise(12 * 4 * 2);
  for (size_t i = 0; i < images.size(); ++i) images[i] = unit_uniform(random_bits(Key{1, 0, 0}, i)) - 0.5f;
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = unit_uniform(random_bits(Key{2, 0, 0}, i)) - 0.5f;
  const std::string data = (kFolder / "data.safetensors").string();
  save_safetensors(data,
                   {{"images", "F32", {80, 10}, images.data(), images.size() * 4},
                    {"noise", "F32", {48, 2}, noise.data(), noise.size() * 4}},
                   {});
  // The switch is at step 9: a run resumed at step 8 still trains the encoder and then switches.
  const Words recipe = small("toy", 12, 4,
                             {"data.kind=tensors", "data.path=" + data, "optimizer.ema=0.9",
                              "schedule.kind=dae", "schedule.weak=width", "schedule.switch=0.75"});
  REQUIRE(train(recipe, "whole", 1, false) == 0);

  using Metadata = std::map<std::string, std::string>;
  using Change = std::function<void(std::vector<TensorEntry>&, Metadata&)>;
  // Resumes from step 8 with a changed checkpoint; true if the run ends like the whole one.
  const auto same_course = [&](const Change& change) {
    fs::remove_all(kFolder / "stopped");
    fs::copy(kFolder / "whole", kFolder / "stopped", fs::copy_options::recursive);
    for (const char* later : {"09", "12"})
      REQUIRE(
          fs::remove(kFolder / ("stopped/checkpoints/step-000000" + std::string(later) + ".safetensors")));
    const std::string path = (kFolder / "stopped/checkpoints/step-00000008.safetensors").string();
    {
      const Safetensors file(path);
      std::vector<TensorEntry> entries = file.entries();
      Metadata metadata = file.metadata();
      change(entries, metadata);
      save_safetensors(path, entries, metadata);
    }
    if (train(recipe, "stopped", 1, true) != 0) return false;
    const std::string last = "checkpoints/step-00000012.safetensors";
    return read(kFolder / "whole" / last) == read(kFolder / "stopped" / last) &&
           read(kFolder / "whole/metrics.jsonl") == read(kFolder / "stopped/metrics.jsonl");
  };
  CHECK(same_course([](auto&, auto&) {}));

  std::vector<float> wrong(1 << 16, 0.01f);
  for (const char* part :
       {"encoder.0.weight", "decoder.4.bias", "optimizer.autoencoder.m.encoder.0.weight",
        "optimizer.autoencoder.v.encoder.0.weight", "optimizer.autoencoder.ema.encoder.0.weight"}) {
    INFO(part);
    CHECK_FALSE(same_course([&](std::vector<TensorEntry>& entries, Metadata&) {
      const auto found =
          std::find_if(entries.begin(), entries.end(), [&](const TensorEntry& e) { return e.name == part; });
      REQUIRE(found != entries.end());
      found->bytes = wrong.data();
    }));
    CHECK_FALSE(same_course([&](std::vector<TensorEntry>& entries, Metadata&) {
      std::erase_if(entries, [&](const TensorEntry& e) { return e.name == part; });
    }));
  }
  for (const auto& [part, value] : Metadata{{"step", "7"},
                                            {"stage", "2"},
                                            {"batches", "7"},
                                            {"noise_rows", "28"},
                                            {"optimizer.autoencoder.encoder.step", "7"}}) {
    INFO(part);
    CHECK_FALSE(same_course([&](auto&, Metadata& metadata) {
      REQUIRE(metadata.contains(part));
      REQUIRE(metadata[part] != value);
      metadata[part] = value;
    }));
    CHECK_FALSE(same_course([&](auto&, Metadata& metadata) { metadata.erase(part); }));
  }
  fs::remove_all(kFolder);
}

TEST_CASE("a finished run resumes to itself, and its logs are cut back to the checkpoint") {
  const Words recipe = small("toy", 24, 5);
  fresh_folder();
  REQUIRE(train(recipe, "whole", 1, false) == 0);
  fs::copy(kFolder / "whole", kFolder / "copy", fs::copy_options::recursive);
  fs::remove(kFolder / "copy/checkpoints/step-00000024.safetensors");
  std::ofstream(kFolder / "copy/metrics.jsonl", std::ios::app) << "{\"step\": 25, \"lo";  // cut by a kill
  REQUIRE(train(recipe, "copy", 2, true) == 0);
  check_same(kFolder / "whole", kFolder / "copy");
  REQUIRE(train(recipe, "whole", 1, true) == 0);
  check_same(kFolder / "whole", kFolder / "copy");
  fs::remove_all(kFolder);
}

}  // namespace dae
