#include "train/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "data/file.h"
#include "engine/ops.h"
#include "train/checkpoint.h"
#include "train/encoder.h"
#include "train/environment.h"
#include "train/feed.h"
#include "train/logs.h"
#include "train/pictures.h"
#include "train/probe.h"
#include "train/run_report.h"
#include "train/signals.h"
#include "train/stepper.h"
#include "train/tensorboard.h"

namespace fs = std::filesystem;

namespace {

// Settings that may differ when a run goes on: how far and how often, not what is computed.
std::string fixed_part(Recipe recipe, const Recipe& from) {
  recipe.train = from.train;
  recipe.train.batch = 0;
  recipe.probe = from.probe;
  recipe.data.path = "";
  recipe.model.encoder = from.model.encoder;  // where it lies: its hash says what it is
  if (recipe.dtype != "f64" && from.dtype != "f64") recipe.dtype = from.dtype;  // their state is f32
  return to_toml(recipe);
}

void check_same(const Recipe& recipe, const Recipe& before, const std::string& run) {
  std::istringstream now(fixed_part(recipe, before)), then(fixed_part(before, before));
  for (std::string a, b; std::getline(now, a) && std::getline(then, b);)
    if (a != b)
      fail(Fault::usage, "train: {}: expected the recipe of the run to resume, with {}, found {}", run, b, a);
}

void check_finite(const Metrics& metrics, int64_t step, const std::string& run) {
  for (const auto& [name, value] : metrics)
    if (!std::isfinite(value)) {
      const std::vector<int64_t> steps = checkpoint_steps(run);
      fail(Fault::data,
           "train: step {}: expected finite losses and weights, found {} = {}; the last good checkpoint is "
           "{}; "
           "lower optimizer.lr",
           step, name, value, steps.empty() ? "none" : checkpoint_path(run, steps.back()).string());
    }
}

// A checkpoint is only worth keeping if a run can go on from it.
void check_finite_weights(Experiment& experiment, int64_t step, const std::string& run) {
  const std::vector<Param*> state = experiment.state();
  if (std::isfinite(zero_if_finite(state).item())) return;
  for (const Param* p : state)
    for (const double v : p->value.values())
      if (!std::isfinite(v)) check_finite({{p->name, v}}, step, run);
}

}  // namespace

namespace {

// Pictures of the run as it stands: draws from the prior, and `first`, the same images every time, beside
// their reconstructions; of two views those of the batch x.
void save_pictures(const std::string& run, int64_t step, Experiment& experiment, const Tensor& first,
                   const Tensor& x, const Recipe& recipe, EventLog& events) {
  if (x.rank() != 4) return;
  const NoGrad off;
  const Averages averages(experiment);
  const auto save = [&](const char* what, const Tensor& images) {
    const std::string path = fmt::format("{}/samples/step-{:08}-{}.png", run, step, what);
    save_grid(path, images, 8);
    events.write_picture(step, what, read_file(path));
  };
  if (recipe.data.augment != "none") {
    const auto views = split(x, 0, 2);
    const int64_t some = std::min<int64_t>(32, views[0].dim(0));
    save("views", side_by_side(slice(views[0], 0, 0, some), slice(views[1], 0, 0, some)));
  }
  const std::unique_ptr<Noise> noise = drawn_noise(recipe.seed, kPictureStep, x.device());
  if (const Tensor drawn = experiment.sample(64, *noise)) save("sample", drawn);
  if (const Tensor y = experiment.reconstruct(first)) save("reconstruction", side_by_side(first, y));
}

Metrics joined(Metrics metrics, const Metrics& more) {
  metrics.insert(metrics.end(), more.begin(), more.end());
  return metrics;
}

int64_t trainable(Experiment& experiment) {  // parameters that a step updates
  int64_t count = 0;
  for (const auto& [name, optimizer] : experiment.optimizers())
    for (const Param* p : optimizer->trainable()) count += p->value.size();
  return count;
}

// What a killed run left behind its last checkpoint: later pictures, and files it was still writing.
void remove_leftovers(const std::string& run, int64_t step) {
  std::vector<fs::path> leftovers;
  for (const char* folder : {"/checkpoints", "/samples"})
    for (const auto& entry : fs::directory_iterator(run + folder)) {
      const std::string name = entry.path().filename().string(), end = entry.path().extension().string();
      const bool whole = end == ".png" || end == ".npz" || end == ".safetensors";
      const bool later = name.rfind("step-", 0) == 0 && std::atoll(name.c_str() + 5) > step;
      if (!whole || later) leftovers.push_back(entry.path());
    }
  for (const fs::path& path : leftovers) fs::remove(path);
}

void make_folders(const std::string& run) {
  for (const char* folder : {"/checkpoints", "/samples"}) {
    std::error_code error;
    fs::create_directories(run + folder, error);
    if (error)
      fail(Fault::data, "train: {}{}: expected a folder that can be written, found: {}; choose another --out",
           run, folder, error.message());
  }
}

// Where the run starts: at zero, at its last checkpoint, or at another run's (stage 2).
Progress start(const Recipe& recipe, const LoopOptions& options, fs::path& checkpoint) {
  Progress at;
  const bool exists = fs::exists(options.run + "/recipe.toml");
  if (options.resume) {
    if (!exists)
      fail(Fault::usage,
           "train: {}: expected a run to resume, found no recipe.toml in it; leave out --resume",
           options.run);
    checkpoint = find_checkpoint(options.run);
    at = read_progress(checkpoint);
    check_same(recipe, load_recipe(options.run + "/recipe.toml"), options.run);
  } else if (exists) {
    fail(Fault::usage, "train: {}: expected a new folder, found a run; add --resume or choose another --out",
         options.run);
  } else if (!options.from.empty()) {
    checkpoint = find_checkpoint(options.from);
    at = read_progress(checkpoint);
    if (at.stage != 1 || at.step >= recipe.train.steps)
      fail(Fault::usage, "train: {}: expected a stage-1 checkpoint before step {}, found stage {}, step {}",
           checkpoint.string(), recipe.train.steps, at.stage, at.step);
  }
  return at;
}

}  // namespace

LoopResult run_training(const Recipe& given, const LoopOptions& options) {
  Recipe recipe = given;
  if (!recipe.model.encoder.empty() && recipe.model.encoder_hash.empty())
    recipe.model.encoder_hash = encoder_hash(recipe);
  const int64_t steps = recipe.train.steps;
  const int64_t switch_at = switch_step(recipe);
  const bool dae = switch_at >= 0;
  const std::string& run = options.run;
  if (!options.from.empty() && !dae)
    fail(Fault::usage, "train: --stage 2: expected a recipe with schedule.kind = \"dae\", found \"{}\"",
         recipe.schedule.kind);

  fs::path checkpoint;
  Progress at = start(recipe, options, checkpoint);
  at.recipe = to_toml(recipe);
  const std::unique_ptr<Experiment> experiment = make_experiment(recipe, at.stage);
  if (!checkpoint.empty()) load_checkpoint(checkpoint, *experiment);
  if (!options.init.empty() && !options.resume) load_weights(options.init, experiment->state());
  Feed data(recipe, at.batches);
  if (data.example_shape() != experiment->example_shape())
    fail(Fault::usage, "train: data.kind {}: expected examples of shape ({}) for a {}, found ({})",
         recipe.data.kind, fmt::join(experiment->example_shape(), ", "), recipe.model.kind,
         fmt::join(data.example_shape(), ", "));

  make_folders(run);
  if (options.resume) {
    remove_leftovers(run, at.step);
  } else {
    if (!options.from.empty()) experiment->enter_stage_two(), at.stage = 2, at.stage_two = at.step;
    write_file(run + "/manifest.json", data.manifest());
    save_checkpoint(checkpoint_path(run, at.step), *experiment, at);
    write_file(run + "/recipe.toml", at.recipe);  // last: a folder with a recipe can be resumed
  }
  JsonLines metrics_log(run + "/metrics.jsonl", at.step), timing_log(run + "/timing.jsonl", at.step);
  EventLog events(run + "/" + kEventsFile, at.step);
  JsonLines(run + "/environment.jsonl", at.step).write(at.step, environment(recipe.device));
  ProgressLine progress(at.step, steps, recipe.train.batch, options.quiet);
  const SignalWatch watch;
  LoopResult result;
  StepCost cost(recipe.device);
  Stepper stepper(*experiment, recipe);
  std::optional<Probe> probe;
  if (recipe.probe.every) probe.emplace(recipe);
  Metrics probed;  // what it said last
  double logged_seconds = 0;
  int64_t logged_step = at.step;

  while (at.step < steps && !result.signal) {
    if (at.stage == 1 && dae && at.step >= switch_at) {
      stepper.changed();
      experiment->enter_stage_two();
      at.stage = 2, at.stage_two = at.step;
    }
    const Tensor x = data.next().x;
    ++at.batches;
    const std::unique_ptr<Noise> noise =
        data.noise(at.noise_rows, recipe.seed, uint32_t(at.step + 1), stepper.clock());
    cost.begin();
    const Losses losses = stepper.take(x, *noise, at.step + 1, lr_factor(recipe, at.step, at.stage_two));
    cost.end();
    ++at.step;
    const bool last = at.step == steps;
    const bool probing = probe && (at.step % recipe.probe.every == 0 || at.step == 1 || last);
    const bool log =
        probing || at.step % recipe.train.log_every == 0 || at.step == 1 || last || at.step == switch_at;
    if (log || recipe.device == Device::cpu) {  // reading waits for the device
      result.metrics = read(losses);
      check_finite(result.metrics, at.step, run);
    }
    if (probing) probed = {{"knn", probe->accuracy(*experiment)}};
    const Metrics shown = joined(result.metrics, probed);
    if (log) {
      const Metrics& logged = probing ? shown : result.metrics;
      metrics_log.write(at.step, logged);
      const double seconds = progress.seconds(), taken = std::max(seconds - logged_seconds, 1e-9);
      const int64_t images = (at.step - logged_step) * recipe.train.batch;
      events.write(at.step, joined(logged, {{"images_per_second", double(images) / taken}}));
      logged_seconds = seconds, logged_step = at.step;
      Metrics timing = {{"stage", at.stage}, {"seconds", progress.seconds()}, {"data_wait", data.wait()}};
      timing.push_back({"trainable", double(trainable(*experiment))});
      for (const auto& value : cost.take()) timing.push_back(value);
      timing_log.write(at.step, timing);
    }
    progress.show(at.step, data.wait(), shown, log);
    if (at.step % recipe.train.sample_every == 0 || last) {
      save_pictures(run, at.step, *experiment, data.first().x, x, recipe, events);
      if (!last) write_run_report(run);
    }
    const int stop = signal_caught();  // read once: a signal from here on waits for the next step
    if (at.step % recipe.train.checkpoint_every == 0 || at.step == switch_at || last || stop) {
      check_finite_weights(*experiment, at.step, run);
      save_checkpoint(checkpoint_path(run, at.step), *experiment, at);
      prune_checkpoints(run, recipe);
    }
    result.signal = stop;
  }
  progress.finish();
  write_run_report(run);
  result.step = at.step;
  result.metrics = joined(result.metrics, probed);
  return result;
}
