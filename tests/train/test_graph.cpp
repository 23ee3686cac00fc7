// Captured steps (train.graph) on CUDA: they have the same bits as steps that are not captured, whatever
// changes from step to step, and a step that cannot be captured is refused with a clear message.
#include <doctest/doctest.h>

#include "engine/graph.h"
#include "engine/ops.h"
#include "tests/rows/rows.h"
#include "train/feed/feed.h"
#include "train/learners/dae.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"
#include "train/run/stepper.h"

namespace dae {

namespace {

struct Outcomes {
  std::vector<Metrics> metrics;
  std::vector<Tensor> state;     // copies on the host: parameters, then moments and averages
  std::vector<int64_t> updates;  // the number of updates of each group
};

// Trains with a falling rate, a DAE switch before the sixth step, and samples drawn between steps, which take
// memory and give it back.
Outcomes train(const std::string& name, std::vector<std::string> sets, int64_t steps, bool graph) {
  sets.push_back(graph ? "train.graph=true" : "train.graph=false");
  const Recipe recipe = load_recipe(name, sets, Device::cuda, Sets::shared);
  const std::unique_ptr<Learner> learner = make_learner(recipe);
  Stepper stepper(*learner, recipe);
  CHECK((stepper.clock() != nullptr) == graph);
  Feed feed(recipe, 0);
  Outcomes out;
  int64_t rows = 0;
  for (int64_t step = 1; step <= steps; ++step) {
    if (step == 6 && recipe.schedule.kind == "dae") decoupled(*learner).enter_stage_two();
    const std::unique_ptr<Noise> noise = feed.noise(rows, recipe.seed, uint32_t(step), stepper.clock());
    out.metrics.push_back(
        read(stepper.take(feed.next(), {*noise, step}, 1 - double(step) / (2 * double(steps)))));
    learner->generator()->generate(3, *drawn_noise(recipe.seed, kPictureStep, recipe.device));
  }
  const auto keep = [&](const Tensor& t) {
    if (t) out.state.push_back(t.to(Device::cpu));
  };
  for (const Param* p : learner->state()) keep(p->value);
  for (const auto& [optimizer_name, optimizer] : learner->optimizers())
    for (const Group& group : optimizer->groups()) {
      out.updates.push_back(optimizer->steps(group.name));
      if (const std::string balance = value(recipe, "loss.balance"); balance.empty() || balance == "0")
        CHECK(optimizer->steps(group.name) == (group.frozen                           ? 5
                                               : group.name == "decoder" && steps > 5 ? steps - 5
                                                                                      : steps));
      for (const Param* p : group.params) {
        const AdamW::Moments& moments = optimizer->moments(*p);
        keep(moments.m), keep(moments.v), keep(moments.ema);
      }
    }
  return out;
}

Outcomes compare(const std::string& name, const std::vector<std::string>& sets, int64_t steps) {
  const Outcomes plain = train(name, sets, steps, false), captured = train(name, sets, steps, true);
  CHECK(captured.metrics == plain.metrics);
  REQUIRE(captured.state.size() == plain.state.size());
  for (size_t i = 0; i < plain.state.size(); ++i) {
    CAPTURE(i);
    CHECK(same_bits(captured.state[i], plain.state[i]));
  }
  CHECK(captured.updates == plain.updates);
  return captured;
}

std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    CHECK(e.fault == Fault::usage);
    return e.what();
  }
  return "";
}

const std::vector<std::string> kToy = {"model.encoder_hidden=13", "model.decoder_hidden=11", "train.batch=5",
                                       "optimizer.ema=0.9", "schedule.kind=dae"};

}  // namespace

TEST_CASE("captured steps have the bits of others: noise, dropout, rates, 16-bit copies, the DAE switch") {
  poison_allocations(true);
  for (const char* dtype : {"f32", "bf16", "f16"}) {
    CAPTURE(dtype);
    std::vector<std::string> sets = kToy;
    // The first loss scale overflows in f16, which then skips a step and goes on.
    sets.insert(sets.end(), {std::string("dtype=") + dtype, "optimizer.loss_scale=256"});
    compare("toy", sets, 11);
  }
}

TEST_CASE("a captured DAE-VAEGAN: three optimizers, batch statistics, channels dropped") {
  compare(
      "dae-vaegan-cifar10",
      {"data.kind=procedural", "model.width=0.01", "model.z_dim=3", "train.batch=2", "schedule.weak=dropout"},
      3);
}

TEST_CASE(
    "captured VAEGAN whose sides rest by the balance rule: the choice is the device's, at each launch") {
  const Outcomes out = compare("vaegan-cifar10",
                               {"data.kind=procedural", "model.width=0.01", "model.z_dim=3", "train.batch=2",
                                "model.discriminator_width=0.05", "model.generator_passes=1",
                                "loss.reconstruction=1", "loss.balance=0.01"},
                               6);
  CHECK(out.updates[0] == 6);                   // the encoder always learns
  CHECK(out.updates[1] + out.updates[2] < 12);  // the others not
  CHECK(out.updates[1] + out.updates[2] >= 6);
}

TEST_CASE(
    "what a graph computes follows what lies in memory when it is launched, and its memory is its own") {
  const Tensor x = Tensor::full({1000}, 2, Dtype::f32, Device::cuda);
  Tensor y;
  Graph graph;
  graph.record([&] { y = add(square(x), scale(x, 3)); });
  graph.launch();
  CHECK(y.values() == std::vector<double>(1000, 10));
  Tensor(x).copy_from(Tensor::full({1000}, 4));
  // Memory of the graph's temporaries must not be handed out now.
  std::vector<Tensor> others;
  for (int i = 0; i < 8; ++i) others.push_back(Tensor::full({1000}, i, Dtype::f32, Device::cuda));
  graph.launch();
  CHECK(y.values() == std::vector<double>(1000, 28));
  for (int i = 0; i < 8; ++i) CHECK(others[size_t(i)].values() == std::vector<double>(1000, i));
}

TEST_CASE("whether weights are finite is found where they lie: not one value is read") {
  std::vector<Param> params(3);
  std::vector<Param*> all;
  for (Param& p : params) p.value = Tensor::full({37}, 3e38, Dtype::f32, Device::cuda), all.push_back(&p);
  Tensor found = zero_if_finite(all);  // memory that is asked for once cannot be within a capture
  Graph graph;
  graph.record([&] { found = zero_if_finite(all); });
  for (const auto& [value, finite] :
       {std::pair(-1e30, true), {INFINITY, false}, {-INFINITY, false}, {NAN, false}}) {
    Tensor values = Tensor::full({37}, 3e38);
    values.data<float>()[23] = float(value);
    params[1].value.copy_from(values);
    graph.launch();
    CHECK(std::isfinite(found.item()) == finite);
  }
}

TEST_CASE("a step that reads or writes the host's memory cannot be captured, and the device goes on") {
  const Tensor x = Tensor::full({8}, 2, Dtype::f32, Device::cuda);
  Graph reads, writes;
  CHECK(refusal([&] { reads.record([&] { sum(x).item(); }); }).find("found a download") != std::string::npos);
  const std::string line = refusal([&] { writes.record([&] { Tensor::zeros({8}).to(Device::cuda); }); });
  CHECK(line.find("found an upload") != std::string::npos);
  CHECK(sum(x).item() == 16);
}

}  // namespace dae
