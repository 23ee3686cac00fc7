#include "train/machine/plan.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "train/feed/feed.h"
#include "train/learners/dae.h"
#include "train/learners/registry.h"

namespace dae {

namespace {

Batch batch_of(const Learner& learner, const Recipe& recipe, int64_t size) {
  Shape shape{recipe.data.augment == "none" ? size : 2 * size};  // two views of each example (Batch::x)
  for (const int64_t d : learner.example_shape()) shape.push_back(d);
  const Tensor x = uniform(shape, -1, 1, Key{recipe.seed, kPlanStep, 0}, Dtype::f32);
  return {x.to(dtype_from(recipe.dtype)).to(recipe.device), Tensor({x.dim(0)}, Dtype::i64).to(recipe.device)};
}

std::string layer_name(const std::string& param) { return param.substr(0, param.rfind('.')); }

// Returns the phase that the steps just taken add up to.
Plan::Phase summed_up(const std::string& name, int64_t steps, DryRun& dry, Learner& learner) {
  Plan::Phase phase;
  phase.name = name, phase.steps = steps, phase.work = dry.work(), phase.peak = dry.peak();
  std::map<std::string, size_t> at;
  const auto layer = [&](const std::string& of) -> Plan::Layer& {
    const auto [found, added] = at.try_emplace(of, phase.layers.size());
    if (added) phase.layers.push_back({of});
    return phase.layers[found->second];
  };
  for (const DryRun::Work& w : phase.work) {
    (w.backward ? layer(w.layer).backward : layer(w.layer).forward) += w.flops;
    phase.flops += w.flops;
  }
  for (const auto& [optimizer, adam] : learner.optimizers())
    for (const Group& group : adam->groups()) {
      Plan::Part part{optimizer, group.name, 0, group.frozen};
      for (const Param* p : group.params) {
        part.parameters += p->value.size();
        layer(layer_name(p->name)).parameters += p->value.size();
      }
      phase.parts.push_back(part);
    }
  std::map<DryRun::Kind, int64_t> by_kind;
  for (const DryRun::Held& held : dry.held_at_peak()) {
    by_kind[held.kind] += held.bytes;
    if (held.kind == DryRun::Kind::activations || held.kind == DryRun::Kind::gradients)
      layer(held.layer).held += held.bytes;
  }
  for (const auto& [kind, bytes] : by_kind) phase.memory.push_back({DryRun::name(kind), bytes});
  std::stable_partition(phase.layers.begin(), phase.layers.end(),
                        [](const Plan::Layer& l) { return !l.name.empty(); });
  return phase;
}

double seconds_of(Learner& learner, const Recipe& recipe, int64_t batch, uint32_t& step) {
  const Batch examples = batch_of(learner, recipe, batch);
  double best = 1e300;
  for (int turn = 0; turn < 3; ++turn) {  // the first turn warms up
    const auto begin = std::chrono::steady_clock::now();
    // Reading the losses waits for the device.
    const std::unique_ptr<Noise> noise = drawn_noise(recipe.seed, ++step, recipe.device);
    read(learner.step(examples, {*noise, step}));
    const double taken = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (turn) best = std::min(best, taken);
  }
  return best;
}

}  // namespace

int64_t Plan::peak() const {
  int64_t most = 0;
  for (const Phase& phase : phases) most = std::max(most, phase.peak);
  return most;
}

Plan make_plan(const Recipe& recipe) {
  Plan plan;
  DryRun dry;
  const std::unique_ptr<Learner> learner = make_learner(recipe);
  const int64_t switch_at = switch_step(recipe);
  uint32_t step = 0;
  const auto take_steps = [&](const std::string& name, int64_t steps) {
    dry.name_layers(learner->state());
    const Batch batch = batch_of(*learner, recipe, recipe.train.batch);
    int64_t nodes = 0;
    // The first turn makes what stays, e.g. 16-bit copies of the weights.
    for (int turn = 0; turn < 2; ++turn) {
      dry.begin_phase();
      nodes = nodes_run();
      const std::unique_ptr<Noise> noise = drawn_noise(recipe.seed, ++step, recipe.device);
      const Losses losses = learner->step(batch, {*noise, step});
    }
    plan.phases.push_back(summed_up(name, steps, dry, *learner));
    plan.phases.back().nodes = nodes_run() - nodes;
  };
  take_steps("stage 1", switch_at < 0 ? recipe.train.steps : switch_at);
  if (switch_at < 0) return plan;
  dry.begin_phase();
  decoupled(*learner).enter_stage_two();
  plan.phases.push_back(summed_up("switch", 0, dry, *learner));
  take_steps("stage 2", recipe.train.steps - switch_at);
  return plan;
}

double seconds_at(const Plan::Phase& phase, const Ceiling& ceiling) {
  double total = 0;
  for (const DryRun::Work& w : phase.work)
    total += std::max(w.flops / ceiling.flops, w.bytes / ceiling.bytes);
  return total;
}

std::vector<StepTime> estimate_step_times(const Recipe& recipe, const Plan& plan, const Ceiling& ceiling,
                                          int64_t available) {
  constexpr double kSeconds = 0.5;  // seconds that the larger batch takes by the ceilings
  std::vector<StepTime> times;
  double longest = 0;
  for (const Plan::Phase& phase : plan.phases) {
    times.emplace_back().at_ceilings = seconds_at(phase, ceiling);
    longest = std::max(longest, times.back().at_ceilings);
  }
  const int64_t batch = recipe.train.batch;
  const int64_t second = std::clamp<int64_t>(int64_t(double(batch) * kSeconds / longest), 1, batch);
  const int64_t first = std::max<int64_t>(1, second / 3);
  Recipe small = recipe;
  small.train.batch = second;
  if (first == second || longest / double(batch) > 4 * kSeconds || make_plan(small).peak() > available)
    return times;
  const std::unique_ptr<Learner> learner = make_learner(recipe);
  uint32_t step = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    if (plan.phases[i].steps == 0) {
      decoupled(*learner).enter_stage_two();
      continue;
    }
    const double short_one = seconds_of(*learner, recipe, first, step),
                 long_one = seconds_of(*learner, recipe, second, step);
    const double an_image = std::max(0.0, (long_one - short_one) / double(second - first));
    times[i].about = long_one + an_image * double(batch - second);
    times[i].first_batch = first, times[i].second_batch = second;
  }
  return times;
}

}  // namespace dae
