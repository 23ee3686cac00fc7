#include "train/run/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <optional>
#include <utility>

#include "data/files/safetensors.h"
#include "train/io/weights.h"
#include "train/learners/dae.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

Param view(const Param& p, const std::string& name, const Tensor& value) {
  Param v = p;
  v.name = name, v.value = value.detach(), v.grad = {};
  return v;
}

std::vector<Param> weights(const std::vector<Param*>& state) {
  std::vector<Param> out;
  for (const Param* p : state) out.push_back(view(*p, p->name, p->value));
  return out;
}

// Returns views of the moments and averages. A frozen group has no moments.
std::vector<Param> optimizer_state(Learner& learner) {
  std::vector<Param> out;
  for (auto& [name, optimizer] : learner.optimizers())
    for (Group& group : optimizer->groups())
      for (Param* p : group.params) {
        const AdamW::Moments& moments = optimizer->moments(*p);
        const std::string prefix = "optimizer." + name + ".";
        if (moments.m) out.push_back(view(*p, prefix + "m." + p->name, moments.m));
        if (moments.v) out.push_back(view(*p, prefix + "v." + p->name, moments.v));
        if (moments.ema) out.push_back(view(*p, prefix + "ema." + p->name, moments.ema));
      }
  return out;
}

int64_t integer(const std::map<std::string, std::string>& metadata, const std::string& key,
                const fs::path& path) {
  const auto found = metadata.find(key);
  int64_t value = 0;
  const char* end = found == metadata.end() ? nullptr : found->second.data() + found->second.size();
  if (!end || std::from_chars(found->second.data(), end, value).ptr != end)
    fail(Fault::data, "checkpoint: {}: expected the metadata of a training run, found no number \"{}\"",
         path.string(), key);
  return value;
}

std::vector<Param> optimizer_and_weights(Learner& learner) {
  std::vector<Param> out = weights(learner.state());
  for (Param& p : optimizer_state(learner)) out.push_back(std::move(p));
  return out;
}

std::vector<Param*> pointers(std::vector<Param>& params) {
  std::vector<Param*> out;
  for (Param& p : params) out.push_back(&p);
  return out;
}

std::string counter_name(const std::string& optimizer, const std::string& group) {
  return "optimizer." + optimizer + "." + group + ".step";
}
std::string scale_name(const std::string& optimizer) { return "optimizer." + optimizer + ".loss_scale"; }

}  // namespace

void save_checkpoint(const fs::path& path, Learner& learner, const Progress& progress) {
  std::vector<Tensor> values;  // keeps the tensors alive until the file is written
  std::vector<TensorEntry> entries;
  for (const Param& p : optimizer_and_weights(learner)) {
    values.push_back(p.counter ? p.to_file().to(Dtype::i64) : p.to_file());
    const Tensor& t = values.back();
    entries.push_back(
        {p.name, file_name(t.dtype()), {t.shape().begin(), t.shape().end()}, t.raw(), size_t(t.bytes())});
  }
  std::map<std::string, std::string> metadata = {{"format", "pt"},
                                                 {"step", std::to_string(progress.step)},
                                                 {"stage", std::to_string(progress.stage)},
                                                 {"stage_two", std::to_string(progress.stage_two)},
                                                 {"batches", std::to_string(progress.batches)},
                                                 {"noise_rows", std::to_string(progress.noise_rows)},
                                                 {"recipe", progress.recipe}};
  for (const auto& [name, optimizer] : learner.optimizers()) {
    for (const Group& group : optimizer->groups())
      metadata[counter_name(name, group.name)] = std::to_string(optimizer->steps(group.name));
    if (optimizer->options().loss_scale == 0) continue;
    const AdamW::LossScale scale = optimizer->loss_scale();
    metadata[scale_name(name)] = std::to_string(int64_t(scale.scale));  // a power of two
    metadata[scale_name(name) + ".good"] = std::to_string(scale.good);
  }
  save_safetensors(path.string(), entries, metadata);
}

Progress read_progress(const fs::path& path) {
  const Safetensors file(path.string());
  const std::map<std::string, std::string>& metadata = file.metadata();
  const auto recipe = metadata.find("recipe");
  return {.step = integer(metadata, "step", path),
          .stage = int(integer(metadata, "stage", path)),
          // Runs from before schedule.rates, the only key that needs it, do not have it.
          .stage_two = metadata.contains("stage_two") ? integer(metadata, "stage_two", path) : -1,
          .batches = integer(metadata, "batches", path),
          .noise_rows = integer(metadata, "noise_rows", path),
          .recipe = recipe == metadata.end() ? "" : recipe->second};
}

void load_checkpoint(const fs::path& path, Learner& learner) {
  const Safetensors file(path.string());
  std::vector<Param> all = optimizer_and_weights(learner);
  fill(file.path(), file.entries(), pointers(all));
  for (const auto& [name, optimizer] : learner.optimizers()) {
    for (const Group& group : optimizer->groups())
      optimizer->set_steps(group.name, integer(file.metadata(), counter_name(name, group.name), path));
    if (file.metadata().contains(scale_name(name)))  // absent if the run was in another dtype
      optimizer->set_loss_scale({double(integer(file.metadata(), scale_name(name), path)),
                                 integer(file.metadata(), scale_name(name) + ".good", path)});
  }
  for (Param* p : learner.state()) p->changed();
}

void load_weights(const std::string& file_or_run, const std::vector<Param*>& state) {
  const TensorFile file(weights_file(file_or_run));
  fill(file.path(), weight_entries(file), state);
}

Tensor zero_if_finite(const std::vector<Param*>& params) {
  const NoGrad off;
  Tensor all;
  for (const Param* p : params) {
    const Tensor zero = sum(scale(p->value, 0));  // infinity times 0 is NaN, and a sum keeps NaN
    all = all ? all + zero : zero;
  }
  return all;
}

void prune_checkpoints(const std::string& run, const Recipe& recipe) {
  if (recipe.train.keep == 0) return;
  const std::vector<int64_t> steps = checkpoint_steps(run);
  const int64_t switch_at = switch_step(recipe);
  int64_t kept = 0;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const bool newest = step == steps.rbegin();
    const bool scheduled = *step % recipe.train.checkpoint_every == 0 || *step == recipe.train.steps;
    if (scheduled) ++kept;
    if (!newest && *step != switch_at && (!scheduled || kept > recipe.train.keep))
      fs::remove(checkpoint_path(run, *step));
  }
}

}  // namespace dae
