// Training in bf16 and f16 on CUDA: the models of the recipes against the same runs in f32 on the CPU, and
// the loss scale.
#include <doctest/doctest.h>

#include <cmath>

#include "tests/rows/rows.h"
#include "train/feed/feed.h"
#include "train/learners/registry.h"

namespace dae {

namespace {

struct Run {
  std::vector<Metrics> metrics;
  std::unique_ptr<Learner> learner;
  Metrics mean_of_last(size_t count) const {
    Metrics mean = metrics.back();
    for (size_t i = 0; i < mean.size(); ++i) {
      mean[i].second = 0;
      for (size_t k = metrics.size() - count; k < metrics.size(); ++k)
        mean[i].second += metrics[k][i].second / double(count);
    }
    return mean;
  }
};

Run train(const std::string& name, std::vector<std::string> sets, const std::string& dtype, int64_t steps) {
  sets.push_back("dtype=" + dtype);
  const Recipe recipe = load_recipe(name, sets, dtype == "f32" ? Device::cpu : Device::cuda, Sets::shared);
  Run run;
  run.learner = make_learner(recipe);
  Feed feed(recipe, 0);
  for (int64_t step = 1; step <= steps; ++step)
    run.metrics.push_back(read(
        run.learner->step(feed.next(), {*drawn_noise(recipe.seed, uint32_t(step), recipe.device), step})));
  return run;
}

void check_near(const Metrics& found, const Metrics& expected, double limit) {
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    INFO(expected[i].first, ": expected ", expected[i].second, ", found ", found[i].second);
    CHECK(std::isfinite(found[i].second));
    CHECK(std::abs(found[i].second - expected[i].second) <= limit * std::abs(expected[i].second));
  }
}

}  // namespace

// Compares the means over the last steps; the losses fall by more than half before. Rounding of activations
// and weights to 8 bits changes the path of the training but not its result, so the limit is a tenth. The
// minimised loss is 20 loss_rec + loss_kl. Near its minimum one term can grow while the other falls, so the
// limit of the smaller KL term is a tenth of the loss.
TEST_CASE("the toy VAE learns in bf16 and f16 what it learns in f32") {
  const std::vector<std::string> sets = {"model.encoder_hidden=19", "model.decoder_hidden=21",
                                         "train.batch=32", "optimizer.lr=1e-2", "loss.reconstruction=20"};
  const Run wide = train("toy", sets, "f32", 60);
  Metrics expected = wide.mean_of_last(20);
  CHECK(expected[0].second < 0.5 * wide.metrics[0][0].second);
  REQUIRE(expected.back().first == "loss_kl");
  const double loss = expected[0].second, kl = expected.back().second;
  expected.pop_back();
  for (const char* dtype : {"bf16", "f16"}) {
    CAPTURE(dtype);
    Metrics found = train("toy", sets, dtype, 60).mean_of_last(20);
    INFO("loss ", loss, ", KL: expected ", kl, ", found ", found.back().second);
    CHECK(std::abs(found.back().second - kl) <= 0.1 * loss);
    found.pop_back();
    check_near(found, expected, 0.1);
  }
}

// Two steps from the same weights. With 8 bits the gradients have errors of some percent (a dozen layers,
// each rounded to 2^-9), and Adam's first steps use little more than the sign of a gradient.
TEST_CASE("DCGAN and VAEGAN take steps in bf16 and f16 near those in f32") {
  const std::vector<std::string> sets = {"data.kind=procedural", "model.width=0.01",
                                         "model.z_dim=3",        "train.batch=2",
                                         "optimizer.lr=1e-5",    "optimizer.loss_scale=128"};
  for (const char* name : {"dcgan-cifar10", "dae-vaegan-cifar10"}) {
    CAPTURE(name);
    const Run wide = train(name, sets, "f32", 2);
    for (const char* dtype : {"bf16", "f16"}) {
      CAPTURE(dtype);
      const Run run = train(name, sets, dtype, 2);
      for (size_t step = 0; step < 2; ++step) check_near(run.metrics[step], wide.metrics[step], 0.1);
      for (const auto& [optimizer_name, optimizer] : run.learner->optimizers())
        for (const Group& group : optimizer->groups()) CHECK(optimizer->steps(group.name) == 2);
    }
  }
}

namespace {

struct Layer : Module {
  explicit Layer(const Build& build) : Module(build) {
    add_uniform(weight, "weight", {37, 5}, 1);
    add_uniform(bias, "bias", {37}, 1);
  }
  Param weight, bias;
};
Tensor gradient(const Shape& shape, uint32_t step, double factor) {
  return scale(uniform(shape, -1, 1, Key{7, step, 0}), factor).to(Device::cuda);
}

}  // namespace

TEST_CASE(
    "loss scale: an overflow changes nothing but the scale, good steps double it, updates do not see it") {
  Rng init(3), same(3);
  Layer scaled(Build{Dtype::f16, &init, Device::cuda}), plain(Build{Dtype::f16, &same, Device::cuda});
  AdamW a({.ema = 0.9, .loss_scale = 1024, .scale_growth = 3}), b({.ema = 0.9});
  a.add_group({.name = "layer", .params = scaled.params()});
  b.add_group({.name = "layer", .params = plain.params()});
  scaled.weight.in(Dtype::f16), plain.weight.in(Dtype::f16);
  CHECK(a.scaled(Tensor::full({}, 2, Dtype::f32, Device::cuda)).item() == 2048);

  uint32_t step = 0;
  const auto take = [&](double scale_now) {  // takes the same step with both
    ++step;
    for (const auto& [layer, factor] : {std::pair{&scaled, scale_now}, std::pair{&plain, 1.0}}) {
      layer->weight.grad = gradient({37, 5}, step, factor);
      layer->bias.grad = gradient({37}, step + 100, factor);
    }
    a.step(), b.step();
  };
  const auto check_same = [&] {
    CHECK(a.steps("layer") == b.steps("layer"));
    CHECK(same_bits(scaled.weight.value, plain.weight.value));
    CHECK(same_bits(scaled.bias.value, plain.bias.value));
    CHECK(same_bits(scaled.weight.low, plain.weight.low));
    for (Tensor AdamW::Moments::*t : {&AdamW::Moments::m, &AdamW::Moments::v, &AdamW::Moments::ema})
      CHECK(same_bits(a.moments(scaled.weight).*t, b.moments(plain.weight).*t));
  };
  take(1024), take(1024);
  check_same();
  CHECK(a.loss_scale().good == 2);

  for (const double bad : {double(INFINITY), -double(INFINITY), double(NAN)}) {
    CAPTURE(bad);
    const double before = a.loss_scale().scale;
    Tensor spoiled = Tensor::zeros({37});
    spoiled.data<float>()[35] = float(bad);
    scaled.weight.grad = gradient({37, 5}, 50, 1), scaled.bias.grad = spoiled.to(Device::cuda);
    a.step();
    check_same();
    CHECK(a.loss_scale().scale == before / 2);
    CHECK(a.loss_scale().good == 0);
  }
  CHECK(a.loss_scale().scale == 128);
  take(128), take(128), take(128);
  check_same();
  CHECK(a.loss_scale().scale == 256);

  a.set_loss_scale({64, 2}), take(64);
  check_same();
  CHECK(a.loss_scale().scale == 128);
}

}  // namespace dae
