// The DAE schedule as a freeze of a parameter group: what stage 2 no longer runs or keeps; moments, step
// counts, averages and checkpoints at the switch; stage-2 runs that branch from a stage-1 run.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "data/files/safetensors.h"
#include "models/vaegan.h"
#include "train/feed/feed.h"
#include "train/learners/dae.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"
#include "train/run/loop.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

const fs::path kFolder = fs::temp_directory_path() / ("dae-schedule-" + std::to_string(getpid()));
struct Cleanup {
  ~Cleanup() { fs::remove_all(kFolder); }
} cleanup;

constexpr int64_t kBatch = 8;

Recipe small(const std::string& kind, const std::string& weak) {
  return load_recipe("vaegan-cifar10",
                     {"model.width=0.125", "model.z_dim=8", "train.batch=8", "optimizer.ema=0.9",
                      "schedule.kind=" + kind, "schedule.weak=" + weak},
                     Device::cpu, Sets::shared);
}
Tensor images(uint32_t step) { return uniform({kBatch, 32, 32, 3}, -1, 1, Rng(5, step).next()); }

Metrics take_step(Learner& learner, uint32_t step) {
  return read(learner.step({images(step), {}}, {*drawn_noise(3, step, Device::cpu), int64_t(step)}));
}

AdamW& autoencoder(Learner& learner) { return *learner.optimizers()[0].second; }

// Returns how many nodes the tape has recorded so far on all threads: the number of a new leaf.
int64_t nodes_recorded() {
  Tensor probe({1});
  track(probe);
  return int64_t(probe.node()->number);
}

struct Cost {
  int64_t recorded = 0, run = 0, peak = 0;  // nodes, nodes, peak bytes above those held before
};
template <class F>
Cost cost_of(F&& f) {
  const int64_t recorded = nodes_recorded(), run = nodes_run(), held = memory_stats().live;
  reset_peak();
  f();
  return {nodes_recorded() - recorded - 1, nodes_run() - run, memory_stats().peak - held};
}

std::vector<double> flat(const std::vector<Tensor>& tensors) {
  std::vector<double> out;
  for (const Tensor& t : tensors)
    if (t)
      for (const double v : t.values()) out.push_back(v);
  return out;
}
std::vector<Tensor> weights_of(const std::vector<Param*>& params) {
  std::vector<Tensor> out;
  for (const Param* p : params) out.push_back(p->value.clone());
  return out;
}
// Returns copies of a group's moments or averages.
std::vector<Tensor> of_group(AdamW& optimizer, const std::string& group, Tensor AdamW::Moments::*which) {
  std::vector<Tensor> out;
  for (const Param* p : optimizer.group(group).params) {
    const Tensor& t = optimizer.moments(*p).*which;
    out.push_back(t ? t.clone() : Tensor{});
  }
  return out;
}
bool all_zero(const std::vector<double>& values) {
  return !values.empty() && std::all_of(values.begin(), values.end(), [](double v) { return v == 0; });
}

}  // namespace

TEST_CASE("the frozen encoder records nothing, runs no backward and keeps no activations") {
  // The two steps differ only in the freeze: both have the full generator, equal discriminators and equal
  // images.
  const auto joint = make_learner(small("joint", "width"));
  const auto frozen = make_learner(small("dae", "width"), 2);
  for (uint32_t step = 1; step <= 2; ++step) take_step(*joint, step), take_step(*frozen, step);  // warm
  const Cost one = cost_of([&] { take_step(*joint, 3); });
  const Cost two = cost_of([&] { take_step(*frozen, 3); });

  // The cost of an encoder of this size alone.
  Rng init(1);
  vaegan::Encoder encoder({Dtype::f32, &init}, 8, 0.125);
  const Tensor x = images(3);
  const int64_t held = memory_stats().live;
  vaegan::Posterior posterior;
  const Cost alone = cost_of([&] { posterior = encoder(x); });
  const int64_t kept = memory_stats().live - held;
  CHECK(alone.recorded >= 12);
  // The joint step also records the sampling, the KL and the sum of the encoder's losses: about 6 nodes,
  // fewer than an encoder has.
  CHECK(one.recorded - two.recorded >= alone.recorded);
  CHECK(one.run - two.run >= alone.recorded);
  // The graph of the encoder lives from its forward pass to the end of the joint step. The posterior itself
  // is not kept.
  CHECK(one.peak - two.peak >= kept - 4096);
  CHECK(kept > 50 * 4096);  // so that the slack is no way out
}

TEST_CASE("a width switch: the decoder's group begins anew, the encoder's rests") {
  const auto run = make_learner(small("dae", "width"));
  for (uint32_t step = 1; step <= 3; ++step) take_step(*run, step);
  AdamW& optimizer = autoencoder(*run);
  CHECK(optimizer.steps("encoder") == 3);
  CHECK(optimizer.steps("generator") == 3);
  const int64_t weak = flat(weights_of(optimizer.group("generator").params)).size();
  const auto average = flat(of_group(optimizer, "encoder", &AdamW::Moments::ema));

  decoupled(*run).enter_stage_two();
  CHECK(optimizer.group("encoder").frozen);
  CHECK(!optimizer.group("generator").frozen);
  CHECK(optimizer.steps("generator") == 0);
  CHECK(run->optimizers()[1].second->steps("discriminator") == 3);
  const auto fresh = flat(weights_of(optimizer.group("generator").params));
  CHECK(int64_t(fresh.size()) > 2 * weak);
  CHECK(all_zero(flat(of_group(optimizer, "generator", &AdamW::Moments::m))));
  CHECK(all_zero(flat(of_group(optimizer, "generator", &AdamW::Moments::v))));
  CHECK(flat(of_group(optimizer, "generator", &AdamW::Moments::ema)) == fresh);
  CHECK(flat(of_group(optimizer, "encoder", &AdamW::Moments::m)).empty());
  CHECK(flat(of_group(optimizer, "encoder", &AdamW::Moments::ema)) == average);

  const auto encoder = flat(weights_of(optimizer.group("encoder").params));
  const Metrics metrics = take_step(*run, 4);
  for (const auto& [name, value] : metrics) CHECK(name != "loss_kl");
  CHECK(optimizer.steps("encoder") == 3);
  CHECK(optimizer.steps("generator") == 1);
  CHECK(flat(weights_of(optimizer.group("encoder").params)) == encoder);
  CHECK(flat(of_group(optimizer, "encoder", &AdamW::Moments::ema)) == average);
  CHECK(flat(weights_of(optimizer.group("generator").params)) != fresh);
  // From zero moments, Adam's first step moves a weight by the learning rate, whatever its gradient (up to
  // eps). A stale step count would correct the moments wrongly. So the largest move must be the rate.
  const auto moved = flat(weights_of(optimizer.group("generator").params));
  double largest = 0;
  for (size_t i = 0; i < fresh.size(); ++i) largest = std::max(largest, std::abs(moved[i] - fresh[i]));
  CHECK(largest == doctest::Approx(2e-4).epsilon(1e-2));
}

TEST_CASE("a fresh discriminator begins anew with the generator; by default it goes on") {
  for (const char* choice : {"keep", "fresh"}) {
    CAPTURE(choice);
    Recipe recipe = small("dae", "width");
    set(recipe, std::string("schedule.discriminator=") + choice);
    const auto run = make_learner(recipe);
    for (uint32_t step = 1; step <= 2; ++step) take_step(*run, step);
    AdamW& optimizer = *run->optimizers()[1].second;
    const auto before = flat(weights_of(optimizer.group("discriminator").params));
    decoupled(*run).enter_stage_two();
    const bool fresh = std::string(choice) == "fresh";
    const auto after = flat(weights_of(optimizer.group("discriminator").params));
    CHECK(after.size() == before.size());
    CHECK((after != before) == fresh);
    CHECK(optimizer.steps("discriminator") == (fresh ? 0 : 2));
    CHECK(all_zero(flat(of_group(optimizer, "discriminator", &AdamW::Moments::m))) == fresh);
    take_step(*run, 3);
    CHECK(optimizer.steps("discriminator") == (fresh ? 1 : 3));
    CHECK(flat(weights_of(optimizer.group("discriminator").params)) != after);
  }
}

TEST_CASE("a dropout switch: weights, moments, step count and average of the decoder go on") {
  const auto run = make_learner(small("dae", "dropout"));
  for (uint32_t step = 1; step <= 3; ++step) take_step(*run, step);
  AdamW& optimizer = autoencoder(*run);
  const auto weights = flat(weights_of(optimizer.group("generator").params));
  const auto m = flat(of_group(optimizer, "generator", &AdamW::Moments::m));
  const auto v = flat(of_group(optimizer, "generator", &AdamW::Moments::v));
  const auto average = flat(of_group(optimizer, "generator", &AdamW::Moments::ema));
  REQUIRE(!all_zero(m));

  decoupled(*run).enter_stage_two();
  CHECK(optimizer.group("encoder").frozen);
  CHECK(optimizer.steps("generator") == 3);
  CHECK(flat(weights_of(optimizer.group("generator").params)) == weights);
  CHECK(flat(of_group(optimizer, "generator", &AdamW::Moments::m)) == m);
  CHECK(flat(of_group(optimizer, "generator", &AdamW::Moments::v)) == v);
  CHECK(flat(of_group(optimizer, "generator", &AdamW::Moments::ema)) == average);

  struct NoMasks : Noise {  // dropout is off: a draw of a mask fails
    Rng rng{3, 4};
    Tensor normal(const Shape& shape, Dtype dtype) override { return dae::normal(shape, rng.next(), dtype); }
    Key key() override { fail(Fault::internal, "a mask was drawn in stage 2"); }
  } noise;
  run->step({images(4), {}}, {noise, 1});
  CHECK(optimizer.steps("encoder") == 3);
  CHECK(optimizer.steps("generator") == 4);
}

TEST_CASE("a checkpoint of stage 2 holds its tables and goes on to the same bits") {
  fs::create_directories(kFolder);
  for (const char* weak : {"width", "dropout"}) {
    INFO(weak);
    const Recipe recipe = small("dae", weak);
    const auto run = make_learner(recipe);
    for (uint32_t step = 1; step <= 2; ++step) take_step(*run, step);
    decoupled(*run).enter_stage_two();
    take_step(*run, 3);
    const fs::path path = kFolder / (std::string("step-") + weak + ".safetensors");
    save_checkpoint(path, *run,
                    {.step = 3, .stage = 2, .batches = 3, .noise_rows = 0, .recipe = to_toml(recipe)});

    const Safetensors file(path.string());
    const auto has = [&](const std::string& name) { return file.find(name) != nullptr; };
    CHECK(has("encoder.main.0.weight"));
    CHECK(has("optimizer.autoencoder.ema.encoder.main.0.weight"));
    CHECK(!has("optimizer.autoencoder.m.encoder.main.0.weight"));
    CHECK(!has("optimizer.autoencoder.v.encoder.main.0.weight"));
    for (const char* moment : {"m", "v", "ema"}) {
      const std::string name = std::string("optimizer.autoencoder.") + moment + ".generator.main.3.weight";
      REQUIRE(has(name));
      CHECK(file.find(name)->shape ==
            std::vector<int64_t>{128, 64, 4, 4});  // the full width, no table of the weak one
    }
    CHECK(file.metadata().at("stage") == "2");

    const auto again = make_learner(recipe, read_progress(path).stage);
    load_checkpoint(path, *again);
    CHECK(autoencoder(*again).steps("encoder") == 2);
    CHECK(autoencoder(*again).steps("generator") == (std::string(weak) == "width" ? 1 : 3));
    take_step(*run, 4), take_step(*again, 4);
    CHECK(flat(weights_of(run->state())) == flat(weights_of(again->state())));
    CHECK(flat(of_group(autoencoder(*run), "generator", &AdamW::Moments::ema)) ==
          flat(of_group(autoencoder(*again), "generator", &AdamW::Moments::ema)));
  }
}

namespace {

// Returns the names and bytes of all tensors of a checkpoint.
std::string tensors(const std::string& run, int64_t step) {
  const Safetensors file(checkpoint_path(run, step).string());
  std::string out;
  for (const TensorEntry& entry : file.entries())
    out += entry.name + " " + std::string(static_cast<const char*>(entry.bytes), entry.size) + "\n";
  return out;
}
std::string part(const std::string& run, int64_t step, const std::string& prefix) {
  const Safetensors file(checkpoint_path(run, step).string());
  std::string out;
  for (const TensorEntry& entry : file.entries())
    if (entry.name.rfind(prefix, 0) == 0)
      out += std::string(static_cast<const char*>(entry.bytes), entry.size);
  return out;
}
std::string metrics(const std::string& run) {
  std::ostringstream text;
  text << std::ifstream(run + "/metrics.jsonl", std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("stage 2 branches from any checkpoint of a stage-1 run") {
  for (const auto& [weak, rates] : std::vector<std::pair<std::string, std::string>>{
           {"width", "continue"}, {"dropout", "continue"}, {"width", "restart"}}) {
    INFO(weak, ", ", rates);
    const auto recipe = [&weak = weak, &rates = rates](const std::string& switch_at) {
      return load_recipe("toy", {"data.count=256", "train.batch=32", "train.steps=8", "train.log_every=1",
                                 "train.checkpoint_every=1", "train.keep=0", "optimizer.ema=0.9",
                                 "schedule.kind=dae", "schedule.weak=" + weak, "schedule.switch=" + switch_at,
                                 "optimizer.decay=linear", "schedule.rates=" + rates});
    };
    const std::string at = (kFolder / (weak + "-" + rates)).string(), whole = at + "-whole",
                      first = at + "-first";
    run_training(recipe("0.5"), {.run = whole, .quiet = true});    // switches after 4 steps
    run_training(recipe("0.875"), {.run = first, .quiet = true});  // stage 1 for 7
    for (const int64_t step : {1, 4, 6}) {
      INFO(step);
      const std::string branch = at + "-from-" + std::to_string(step);
      run_training(recipe("0.5"), {.run = branch, .from = first + "@" + std::to_string(step), .quiet = true});
      REQUIRE(checkpoint_steps(branch).front() == step);
      CHECK(checkpoint_steps(branch).back() == 8);
      CHECK(read_progress(checkpoint_path(branch, step)).stage == 2);
      CHECK(part(branch, 8, "encoder.") == part(first, step, "encoder."));
      CHECK((part(branch, step, "decoder.") == part(first, step, "decoder.")) == (weak == "dropout"));
      CHECK(part(branch, 8, "decoder.") != part(branch, step, "decoder."));
      // The resumed branch has rates that decay from its own beginning, not from the schedule's switch.
      const std::string again = branch + "-again";
      fs::copy(branch, again, fs::copy_options::recursive);
      fs::remove(checkpoint_path(again, 8));
      run_training(recipe("0.5"), {.run = again, .resume = true, .quiet = true});
      CHECK(tensors(again, 8) == tensors(branch, 8));
      if (step != 4 || rates == "restart") continue;  // restart: stage 1 decays to its own end
      // A branch at the schedule's own switch equals the run that was not interrupted.
      CHECK(tensors(branch, 8) == tensors(whole, 8));
      CHECK(metrics(whole).size() > metrics(branch).size());
      CHECK(metrics(whole).substr(metrics(whole).size() - metrics(branch).size()) == metrics(branch));
    }
    CHECK_THROWS_WITH_AS(run_training(recipe("0.5"), {.run = at + "-2", .from = whole + "@6", .quiet = true}),
                         doctest::Contains("stage-1"), Error);
  }
}

TEST_CASE("warm-up and cosine: the rate rises over the warm-up, is whole at its end, and falls to 0") {
  const Recipe recipe =
      load_recipe("vae-cifar10", {"train.steps=20", "optimizer.decay=cosine", "optimizer.warmup=4"});
  const double expected[] = {0.25, 0.5, 0.75, 1};
  for (int64_t step = 0; step < 4; ++step) CHECK(lr_factor(recipe, step, -1) == expected[step]);
  CHECK(lr_factor(recipe, 4, -1) == 1);
  CHECK(lr_factor(recipe, 12, -1) == doctest::Approx(0.5));
  CHECK(lr_factor(recipe, 20, -1) == doctest::Approx(0));
  // Loshchilov & Hutter 2017, equation 5, a quarter of the way down.
  CHECK(lr_factor(recipe, 8, -1) == doctest::Approx(0.5 * (1 + std::sqrt(0.5))));
}

}  // namespace dae
