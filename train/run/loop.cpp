#include "train/run/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>

#include "data/files/file.h"
#include "engine/ops.h"
#include "train/evaluation/probe.h"
#include "train/feed/feed.h"
#include "train/io/logs.h"
#include "train/io/pictures.h"
#include "train/io/run_lock.h"
#include "train/io/tensorboard.h"
#include "train/learners/dae.h"
#include "train/learners/upstream.h"
#include "train/machine/environment.h"
#include "train/report/run_report.h"
#include "train/run/checkpoint.h"
#include "train/run/signals.h"
#include "train/run/training.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

// Returns the settings that must not differ when a run is resumed, as TOML. Others may: they say how far and
// how often, not what is computed.
std::string fixed_part(Recipe recipe, const Recipe& from) {
  const int64_t batch = recipe.train.batch;
  recipe.train = from.train;
  recipe.train.batch = batch;
  recipe.probe = from.probe;
  recipe.data.path = "", recipe.data.validation = from.data.validation;
  recipe.upstream.run = from.upstream.run;  // the path may differ; the hash says which encoder it is
  // The state of every type but f64 is f32.
  if (recipe.dtype != "f64" && from.dtype != "f64") recipe.dtype = from.dtype;
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

// Checks the weights before a checkpoint: no run can go on from values that are not finite.
void check_finite_weights(Learner& learner, int64_t step, const std::string& run) {
  const std::vector<Param*> state = learner.state();
  if (std::isfinite(zero_if_finite(state).item())) return;
  for (const Param* p : state)
    for (const double v : p->value.values())
      if (!std::isfinite(v)) check_finite({{p->name, v}}, step, run);
}

}  // namespace

namespace {

// Saves pictures of the run as it stands: draws from the prior, and `first`, the same images every time,
// beside their reconstructions. With two views per image it also saves the views in the batch x.
void save_pictures(const std::string& run, int64_t step, Learner& learner, const Tensor& first,
                   const Tensor& x, const Recipe& recipe, EventLog& events) {
  if (x.rank() != 4) return;
  const NoGrad off;
  const Averages averages(learner);
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
  if (CanGenerate* generator = learner.generator()) save("sample", generator->generate(64, *noise));
  if (const Tensor y = reconstruct(learner, first)) save("reconstruction", side_by_side(first, y));
}

Metrics joined(Metrics metrics, const Metrics& more) {
  metrics.insert(metrics.end(), more.begin(), more.end());
  return metrics;
}

// Returns the number of parameters that a step updates.
int64_t trainable(Learner& learner) {
  int64_t count = 0;
  for (const auto& [name, optimizer] : learner.optimizers())
    for (const Param* p : optimizer->trainable()) count += p->value.size();
  return count;
}

// Removes what a killed run left after its last checkpoint: later checkpoints and pictures, and files that it
// was still writing. Other files belong to the user and stay.
void remove_leftovers(const std::string& run, int64_t step) {
  std::vector<fs::path> leftovers;
  for (const auto& [folder, ours] :
       {std::pair{"/checkpoints", R"(step-(\d{8,})\.safetensors(\.tmp)?)"},
        {"/samples", R"(step-(\d{8,})-(?:sample|reconstruction|views)\.png(\.tmp)?)"}})
    for (const auto& entry : fs::directory_iterator(run + folder)) {
      const std::string name = entry.path().filename().string();
      std::smatch parts;
      if (entry.is_regular_file() && std::regex_match(name, parts, std::regex(ours)) &&
          (parts[2].matched || std::atoll(parts[1].str().c_str()) > step))
        leftovers.push_back(entry.path());
    }
  for (const fs::path& path : leftovers) fs::remove(path);
}

// Checks that the folder of a new run holds no run and no checkpoints that the run would take for its own.
void check_new(const std::string& run, int64_t step) {
  if (has_run(run))
    fail(Fault::usage, "train: {}: expected a new folder, found a run; add --resume or choose another --out",
         run);
  for (const int64_t other : checkpoint_steps(run))
    if (other != step)  // a run that was killed before it wrote its recipe
      fail(Fault::usage, "train: {}: expected a new folder, found {}; choose another --out", run,
           checkpoint_path(run, other).string());
}

// Handles a changed train.steps at a resume. The switch stays at its step, even if it was given as a fraction
// of the steps. A message says what happens to the decay of the rates.
void change_steps(Recipe& recipe, const Recipe& before, const Progress& at, const LoopOptions& options) {
  const int64_t steps = recipe.train.steps, switch_at = switch_step(before);
  if (steps == before.train.steps) return;
  if (steps < at.step)
    fail(Fault::usage, "train: {}: expected train.steps of at least {}, which are done, found {}",
         options.run, at.step, steps);
  if (at.stage == 1 && steps <= switch_at)
    fail(Fault::usage, "train: {}: expected train.steps above {}, the step of its switch, found {}",
         options.run, switch_at, steps);
  if (switch_at > 0 && switch_at < steps) recipe.schedule.switch_step = switch_at;
  if (options.quiet) return;
  std::string what = fmt::format("train.steps was {} and is {}", before.train.steps, steps);
  if (switch_at >= 0) what += fmt::format("; the switch stays at step {}", switch_at);
  if (recipe.optimizer.decay == "linear") what += fmt::format("; rates now fall to 0 at step {}", steps);
  fmt::print(stderr, "{}\n", what);
}

// Returns where the run starts: at zero, at its last checkpoint, or at another run's checkpoint (stage 2). A
// resumed run is locked by `lock` from here on.
Progress start(Recipe& recipe, const LoopOptions& options, fs::path& checkpoint,
               std::optional<RunLock>& lock) {
  Progress at;
  if (options.resume) {
    if (!has_run(options.run))
      fail(Fault::usage,
           "train: {}: expected a run to resume, found no recipe.toml in it; leave out --resume",
           options.run);
    lock.emplace(options.run);
    checkpoint = find_checkpoint(options.run);
    at = read_progress(checkpoint);
    const Recipe before = load_recipe(options.run + "/recipe.toml");
    if (recipe.schedule.switch_step == 0) recipe.schedule.switch_step = before.schedule.switch_step;
    check_same(recipe, before, options.run);
    change_steps(recipe, before, at, options);
    return at;
  }
  if (!options.from.empty()) {
    checkpoint = find_checkpoint(options.from);
    at = read_progress(checkpoint);
    if (at.stage != 1 || at.step >= recipe.train.steps)
      fail(Fault::usage, "train: {}: expected a stage-1 checkpoint before step {}, found stage {}, step {}",
           checkpoint.string(), recipe.train.steps, at.stage, at.step);
  }
  check_new(options.run, at.step);
  return at;
}

}  // namespace

LoopResult run_training(const Recipe& given, const LoopOptions& options) {
  Recipe recipe = given;
  if (!recipe.upstream.run.empty() && recipe.upstream.hash.empty())
    recipe.upstream.hash = Upstream(recipe).hash();
  const std::string& run = options.run;
  if (!options.from.empty() && recipe.schedule.kind != "dae")
    fail(Fault::usage, "train: --stage 2: expected a recipe with schedule.kind = \"dae\", found \"{}\"",
         recipe.schedule.kind);

  fs::path checkpoint;
  std::optional<RunLock> lock;
  Progress begin = start(recipe, options, checkpoint, lock);
  begin.recipe = to_toml(recipe);
  Training training(recipe, begin);
  Learner& learner = *training.learner;
  Feed& data = training.data;
  Progress& at = training.at;
  if (!checkpoint.empty()) load_checkpoint(checkpoint, learner);
  if (!options.init.empty() && !options.resume) load_weights(options.init, learner.state());
  const int64_t steps = recipe.train.steps, switch_at = switch_step(recipe);

  if (!options.resume) {
    lock.emplace(run);
    check_new(run, at.step);  // another process may have begun meanwhile
  }
  for (const char* folder : {"/checkpoints", "/samples"}) make_folder(run + folder);
  if (options.resume) {
    remove_leftovers(run, at.step);
    if (read_file(run + "/recipe.toml") != at.recipe) write_file(run + "/recipe.toml", at.recipe);
  } else {
    if (!options.from.empty()) training.enter_stage_two();
    write_file(run + "/manifest.json", data.manifest());
    save_checkpoint(checkpoint_path(run, at.step), learner, at);
    write_file(run + "/recipe.toml", at.recipe);  // last, because a folder with a recipe can be resumed
  }
  JsonLines metrics_log(run + "/metrics.jsonl", at.step), timing_log(run + "/timing.jsonl", at.step);
  EventLog events(run + "/" + kEventsFile, at.step);
  JsonLines(run + "/environment.jsonl", at.step).write(at.step, environment(recipe.device));
  const SignalWatch watch;
  ProgressLine progress(at.step, steps, recipe.train.batch, options.quiet);
  if (const std::string files = data.skipped(); !files.empty())
    progress.note(fmt::format("{}: skipped {}; JPEG and PNG are read", recipe.data.path, files));
  if (!options.from.empty()) progress.note(stage_two_note(recipe, at.step));
  LoopResult result;
  StepCost cost(recipe.device);
  const Training::Around timed{[&] { cost.begin(); }, [&] { cost.end(); }};
  std::optional<Probe> probe;
  if (recipe.probe.every) probe.emplace(recipe);
  Metrics probed;  // the last measurement
  double logged_seconds = 0;
  int64_t logged_step = at.step;

  while (!training.done() && !result.signal) {
    if (training.switch_if_due()) progress.note(stage_two_note(recipe, at.step));
    const Losses losses = training.step(timed);
    const bool last = at.step == steps;
    const bool probing = probe && (at.step % recipe.probe.every == 0 || at.step == 1 || last);
    const bool log =
        probing || at.step % recipe.train.log_every == 0 || at.step == 1 || last || at.step == switch_at;
    // Reading waits for the device, so on CUDA only logged steps are read.
    if (log || recipe.device == Device::cpu) {
      result.metrics = read(losses);
      check_finite(result.metrics, at.step, run);
    }
    if (probing) probed = {{"knn", probe->accuracy(learner)}};
    const Metrics shown = joined(result.metrics, probed);
    if (log) {
      const Metrics& logged = probing ? shown : result.metrics;
      metrics_log.write(at.step, logged);
      const double seconds = progress.seconds(), taken = std::max(seconds - logged_seconds, 1e-9);
      const int64_t images = (at.step - logged_step) * recipe.train.batch;
      events.write(at.step, joined(logged, {{"images_per_second", double(images) / taken}}));
      logged_seconds = seconds, logged_step = at.step;
      Metrics timing = {{"stage", at.stage}, {"seconds", progress.seconds()}, {"data_wait", data.wait()}};
      timing.push_back({"trainable", double(trainable(learner))});
      for (const auto& value : cost.take()) timing.push_back(value);
      timing_log.write(at.step, timing);
    }
    progress.show(at.step, data.wait(), shown, log);
    if (at.step % recipe.train.sample_every == 0 || last) {
      save_pictures(run, at.step, learner, data.first().x, training.batch.x, recipe, events);
      if (!last) write_run_report(run);
    }
    const int stop = signal_caught();  // read once: a later signal waits for the next step
    if (at.step % recipe.train.checkpoint_every == 0 || at.step == switch_at || last || stop) {
      check_finite_weights(learner, at.step, run);
      save_checkpoint(checkpoint_path(run, at.step), learner, at);
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

}  // namespace dae
