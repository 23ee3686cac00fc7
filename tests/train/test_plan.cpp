// Plans against real training steps: memory, tape and FLOPs.
#include <nlohmann/json.hpp>

#include "models/vaegan.h"
#include "tests/support/program.h"
#include "train/feed/feed.h"
#include "train/learners/dae.h"
#include "train/learners/registry.h"
#include "train/machine/plan.h"

namespace dae {

namespace {

Recipe recipe(const std::string& kind, const std::string& schedule, const std::string& weak) {
  Recipe r = of_kind(kind, {"model.z_dim=5"});
  if (kind != "toy") set(r, "model.width=0.03");
  else set(r, "model.encoder_hidden=17"), set(r, "model.decoder_hidden=13");
  r.schedule.kind = schedule, r.schedule.weak = weak;
  r.train.steps = 10, r.train.batch = 7;
  if (kind == "simclr") r.data.augment = "simclr";
  return r;
}

// Returns a VAEGAN recipe with the keys that the paper's recipe leaves at their defaults.
Recipe every_key() {
  Recipe r = recipe("vaegan", "dae", "width");
  for (const char* setting :
       {"model.discriminator_width=0.05", "model.generator_passes=1", "loss.reconstruction=1",
        "loss.balance=0.01", "schedule.rates=restart", "schedule.discriminator=fresh"})
    set(r, setting);
  return r;
}

struct Taken {
  int64_t peak, nodes;
};
// Returns what the second of two steps took. `before`: the bytes that other tensors held.
Taken take(Learner& learner, const Recipe& r, int64_t before) {
  Shape shape{r.data.augment == "none" ? r.train.batch : 2 * r.train.batch};
  for (const int64_t d : learner.example_shape()) shape.push_back(d);
  const Tensor x = uniform(shape, -1, 1, Key{1, 2, 3}, dtype_from(r.dtype));
  const Tensor labels({x.dim(0)}, Dtype::i64);
  int64_t nodes = 0;
  for (uint32_t step = 1; step <= 2; ++step) {
    reset_peak();
    nodes = nodes_run();
    learner.step({x, labels}, {*drawn_noise(0, step, Device::cpu), int64_t(step)});
  }
  return {memory_stats().peak - before, nodes_run() - nodes};
}

}  // namespace

// The dry run and the training make the same calls of the pool and of the tape, so the figures must be equal.
// A tolerance would hide a tensor that the plan misses.
TEST_CASE("peak memory and backward nodes of a plan are those of the steps") {
  for (const Recipe& r :
       {recipe("toy", "joint", "width"), recipe("toy", "dae", "width"), recipe("toy", "dae", "dropout"),
        recipe("dcgan", "joint", "width"), recipe("simclr", "joint", "width"), recipe("vae", "dae", "width"),
        recipe("vaegan", "joint", "width"), recipe("vaegan", "dae", "width"),
        recipe("vaegan", "dae", "dropout"), every_key()}) {
    CAPTURE(r.model.kind);
    CAPTURE(r.schedule.kind);
    CAPTURE(r.schedule.weak);
    const int64_t before = memory_stats().live;
    const Plan plan = make_plan(r);
    CHECK(memory_stats().live == before);  // nothing was allocated
    const bool dae = r.schedule.kind == "dae";
    REQUIRE(plan.phases.size() == (dae ? 3 : 1));

    const auto learner = make_learner(r);
    const Taken one = take(*learner, r, before);
    CHECK(plan.phases[0].peak == one.peak);
    CHECK(plan.phases[0].nodes == one.nodes);
    int64_t sum = 0;
    for (const auto& [kind, bytes] : plan.phases[0].memory) sum += bytes;
    CHECK(sum == plan.phases[0].peak);
    if (!dae) continue;
    reset_peak();
    decoupled(*learner).enter_stage_two();
    CHECK(plan.phases[1].peak == memory_stats().peak - before);
    const Taken two = take(*learner, r, before);
    CHECK(plan.phases[2].peak == two.peak);
    CHECK(plan.phases[2].nodes == two.nodes);
    CHECK(two.nodes < one.nodes);  // the frozen encoder has none
  }
}

TEST_CASE("FLOPs against counts by hand") {
  // Multiplications in the forward pass of one image at full width, from the shapes of the layers.
  constexpr double kGenerator = 128. * 4 * 1024 + 4. * 1024 * 16 * 512 + 16. * 512 * 16 * 256 +
                                64. * 256 * 16 * 128 + 256. * 128 * 16 * 3;
  constexpr double kFirst = 256. * 75 * 64, kFeatures = 64. * 1600 * 128 + 16. * 3200 * 256,
                   kDiscriminator = kFirst + kFeatures + 4. * 6400 * 512 + 2048;
  constexpr double kEncoderFirst = 256. * 48 * 128,
                   kEncoder =
                       kEncoderFirst + 64. * 2048 * 256 + 16. * 4096 * 512 + 4. * 8192 * 1024 + 4096. * 256;
  {
    DryRun dry;
    Rng init(1);
    dcgan::Generator generator(Build{Dtype::f32, &init}, 128, 1);
    dry.name_layers(generator.state());
    dry.begin_phase();
    generator(Tensor({3, 128}));
    double flops = 0;
    for (const DryRun::Work& w : dry.work()) flops += w.flops;
    CHECK(flops == 3 * 2 * kGenerator);
    CHECK(flops / 6 == doctest::Approx(0.103e9).epsilon(0.005));
    CHECK(generator.parameter_count() == 11544320);
  }
  Recipe r = of_kind("vaegan");
  r.schedule.kind = "dae", r.schedule.weak = "dropout";
  r.train.batch = 3;
  const Plan plan = make_plan(r);
  const double train_discriminator = 3 * kDiscriminator - kFirst;  // its input needs no gradient
  const double two =
      kEncoder + 2 * kGenerator + 3 * train_discriminator + 5 * kDiscriminator + 4 * kGenerator;
  // The gradients of the features go down to the encoder, through the first part of the discriminator.
  const double one = two + kFirst + kFeatures + kGenerator + 2 * kEncoder - kEncoderFirst;
  CHECK(plan.phases[0].flops / (6 * one) == doctest::Approx(1).epsilon(0.01));
  CHECK(plan.phases[2].flops / (6 * two) == doctest::Approx(1).epsilon(0.01));
  Recipe narrow = r;
  set(narrow, "model.discriminator_width=0.25");  // a little over a sixteenth of the discriminator's work
  CHECK(make_plan(narrow).phases[0].flops < plan.phases[0].flops);
  CHECK(plan.phases[0].parts[0].parameters == 12068608);
  CHECK(plan.phases[0].parts[1].parameters == 11544320);
}

TEST_CASE("the verb: no run folder, JSON, and what does not go with it") {
  const Folder folder;
  const auto j = nlohmann::json::parse(output(
      folder, "train toy --plan --json --set schedule.kind=dae --set train.batch=32 --set train.steps=8"));
  CHECK(j["phases"].size() == 3);
  CHECK(j["phases"][0]["seconds_about"] > 0);
  CHECK(j["phases"][2]["groups"][0]["frozen"] == true);
  const auto two_views = nlohmann::json::parse(
      output(folder, "train simclr-cifar10 --plan --json --set model.width=0.125 --set train.batch=16"));
  CHECK(two_views["phases"][0]["seconds_about"] > 0);  // timed at other batch sizes than the recipe's
  CHECK(two_views["phases"][0]["timed_batches"][1] > two_views["phases"][0]["timed_batches"][0]);
  check(folder, {"train toy --plan --resume", 2, {"--plan", "--resume"}});
  check(folder, {"train toy --plan --set train.batch=0", 2, {"train.batch"}});
}

}  // namespace dae
