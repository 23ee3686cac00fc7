// `dae train --plan` prints what a recipe will take, without training it.
#include "train/machine/plan.h"

#include <nlohmann/json.hpp>

#include "kernels/cpu/parallel.h"
#include "kernels/device/error.h"
#include "train/machine/environment.h"
#include "train/recipe/words.h"
#include "train/verbs/verbs.h"

namespace dae {

using nlohmann::ordered_json;

namespace {

std::string bytes(double n) {
  return n >= 1e9   ? fmt::format("{:.2f} GB", n / 1e9)
         : n >= 1e6 ? fmt::format("{:.1f} MB", n / 1e6)
                    : fmt::format("{:.1f} kB", n / 1e3);
}
std::string flops(double n) {
  return n >= 1e12  ? fmt::format("{:.2f} T", n / 1e12)
         : n >= 1e9 ? fmt::format("{:.2f} G", n / 1e9)
                    : fmt::format("{:.2f} M", n / 1e6);
}
ordered_json to_json(const Plan::Phase& phase, const StepTime* time) {
  ordered_json out{{"name", phase.name},
                   {"steps", phase.steps},
                   {"flops", phase.flops},
                   {"peak_bytes", phase.peak},
                   {"backward_nodes", phase.nodes}};
  for (const auto& [kind, n] : phase.memory) out["memory"][kind] = n;
  for (const Plan::Part& p : phase.parts)
    out["groups"].push_back(
        {{"optimizer", p.optimizer}, {"group", p.group}, {"parameters", p.parameters}, {"frozen", p.frozen}});
  for (const Plan::Layer& l : phase.layers)
    out["layers"].push_back({{"name", l.name},
                             {"parameters", l.parameters},
                             {"forward_flops", l.forward},
                             {"backward_flops", l.backward},
                             {"held_bytes", l.held}});
  for (const DryRun::Work& w : phase.work)
    out["ops"].push_back({{"layer", w.layer},
                          {"op", w.op},
                          {"backward", w.backward},
                          {"calls", w.calls},
                          {"flops", w.flops},
                          {"bytes", w.bytes}});
  if (time && phase.steps) {
    out["seconds_at_ceilings"] = time->at_ceilings;
    if (time->about)
      out["seconds_about"] = *time->about, out["timed_batches"] = {time->first_batch, time->second_batch};
  }
  return out;
}

void print(const Plan::Phase& phase) {
  fmt::print("\n{}{}\n", phase.name,
             phase.steps ? fmt::format(": {} steps of {}FLOP", phase.steps, flops(phase.flops)) : "");
  std::string text;
  for (const Plan::Part& p : phase.parts)
    text += fmt::format("{}{}/{} {}{}", text.empty() ? "" : ", ", p.optimizer, p.group, p.parameters,
                        p.frozen ? " (frozen)" : "");
  fmt::print("  parameters  {}\n", text);
  text.clear();
  for (const auto& [kind, n] : phase.memory)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", kind, bytes(double(n)));
  fmt::print("  peak memory {}: {}\n", bytes(double(phase.peak)), text);
  if (phase.steps == 0) return;
  fmt::print("  {:<28} {:>12} {:>12} {:>12} {:>14}\n", "layer", "parameters", "forward", "backward",
             "held at peak");
  for (const Plan::Layer& l : phase.layers)
    fmt::print("  {:<28} {:>12} {:>12} {:>12} {:>14}\n", l.name.empty() ? "(losses and the rest)" : l.name,
               l.parameters, l.forward > 0 ? flops(l.forward) : "-", l.backward > 0 ? flops(l.backward) : "-",
               l.held ? bytes(double(l.held)) : "-");
}

}  // namespace

int plan(const TrainArguments& arguments, const Options& options) {
  const Recipe recipe = recipe_of(arguments, options);
  const Plan plan = make_plan(recipe);
  const int64_t available = memory_available();
  const bool measured = recipe.device == Device::cpu;  // whose ceilings measure_ceiling() knows
  Ceiling ceiling;
  std::vector<StepTime> times;
  if (measured) {
    ceiling = measure_ceiling(thread_count());
    times = estimate_step_times(recipe, plan, ceiling, available);
  }
  if (options.json) {
    ordered_json out{{"recipe", arguments.recipe},
                     {"batch", recipe.train.batch},
                     {"device", name(recipe.device)},
                     {"peak_bytes", plan.peak()},
                     {"available_bytes", available}};
    if (measured)
      out["ceiling"] = {{"threads", ceiling.threads}, {"flops", ceiling.flops}, {"bytes", ceiling.bytes}};
    for (size_t i = 0; i < plan.phases.size(); ++i)
      out["phases"].push_back(to_json(plan.phases[i], measured ? &times[i] : nullptr));
    fmt::print("{}\n", out.dump(1));
    return 0;
  }
  fmt::print("{}: {} steps of {} examples, {} on {}; by a dry run\n", arguments.recipe, recipe.train.steps,
             recipe.train.batch, recipe.dtype, name(recipe.device));
  for (const Plan::Phase& phase : plan.phases) print(phase);
  fmt::print("\nmemory: {} at most in tensors", bytes(double(plan.peak())));
  if (available > 0 && recipe.device == Device::cpu)
    fmt::print("; this machine has {} to give{}", bytes(double(available)),
               plan.peak() > available ? ": too little, use a smaller train.batch" : "");
  fmt::print(". Data waiting, pictures and the kernels' own buffers come on top\n");
  if (!measured) {
    fmt::print("time: not estimated on CUDA; dae bench --device cuda times steps\n");
    return 0;
  }
  double whole = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    const StepTime& t = times[i];
    if (plan.phases[i].steps == 0) continue;
    whole += t.about.value_or(t.at_ceilings) * double(plan.phases[i].steps);
    if (t.about)
      fmt::print("time, {}: about {} a step, from steps of {} and {} examples that ran for this; ",
                 plan.phases[i].name, duration(*t.about), t.first_batch, t.second_batch);
    else
      fmt::print("time, {}: not tried, as even a small step takes too long or too much; ",
                 plan.phases[i].name);
    fmt::print("its FLOPs and bytes at this processor's ceilings: {}\n", duration(t.at_ceilings));
  }
  fmt::print(
      "time, all steps: {} {}, pictures and checkpoints aside (ceilings: {:.0f} GFLOP/s, {:.1f} GB/s, {} "
      "threads)\n",
      times[0].about ? "about" : "at the ceilings", duration(whole), ceiling.flops / 1e9, ceiling.bytes / 1e9,
      ceiling.threads);
  return 0;
}

}  // namespace dae
