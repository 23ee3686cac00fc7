// VAEGAN's settings beyond the paper: who pauses by the balance rule, the width of the discriminator, the
// number of the generator's passes, and the decay of the rates over the two stages. test_golden_models.cpp
// compares the formulas with PyTorch.
#include <doctest/doctest.h>

#include "engine/nn.h"
#include "models/dcgan.h"
#include "models/losses.h"
#include "train/feed/feed.h"
#include "train/learners/dae.h"
#include "train/learners/registry.h"

namespace dae {

namespace {

Recipe small(std::vector<std::string> sets) {
  sets.insert(sets.begin(), {"model.width=0.03125", "model.discriminator_width=0.03125", "model.z_dim=4",
                             "train.batch=4", "data.kind=procedural"});
  return load_recipe("dae-vaegan-cifar10", sets);
}
void take_step(Learner& learner, uint32_t step) {
  read(learner.step({uniform({4, 32, 32, 3}, -1, 1, Rng(5, step).next()), {}},
                    {*drawn_noise(3, step, Device::cpu), int64_t(step)}));
}

}  // namespace

TEST_CASE("the balance rule: the limits are 0.68 less and plus the margin") {
  struct Case {
    double true_cost, generated_cost;
    bool discriminator, generator;  // who learns
  };
  // With a margin of 0.35, a cost below 0.33 pauses the discriminator, and one above 1.03 the generator.
  for (const Case& c :
       {Case{0.6, 0.7, true, true}, Case{0.3299, 0.7, false, true}, Case{0.7, 0.3299, false, true},
        Case{0.3301, 0.3301, true, true}, Case{0.1, 0.2, false, true}, Case{1.0301, 0.7, true, false},
        Case{0.7, 1.0301, true, false}, Case{1.0299, 1.0299, true, true}, Case{9, 40, true, false},
        Case{0.01, 5, true, true}, Case{1.0301, 0.3299, true, true}})
    for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
      CAPTURE(c.true_cost);
      CAPTURE(c.generated_cost);
      const Balance learns =
          balance(Tensor::full({}, c.true_cost, dtype), Tensor::full({}, c.generated_cost, dtype), 0.35);
      CHECK(learns.discriminator.item() == c.discriminator);
      CHECK(learns.generator.item() == c.generator);
    }
}

TEST_CASE("a closed gate leaves a group as it is for one step, and only that group") {
  const auto learner = make_learner(small({"optimizer.ema=0.9"}));
  take_step(*learner, 1);
  AdamW& optimizer = *learner->optimizers()[0].second;
  const auto flat = [&](const std::string& group) {
    std::vector<double> out;
    for (const Param* p : optimizer.group(group).params) {
      const AdamW::Moments& moments = optimizer.moments(*p);
      for (const Tensor& t : {p->value, moments.m, moments.v, moments.ema})
        for (const double v : t.values()) out.push_back(v);
    }
    return out;
  };
  const auto generator = flat("generator"), encoder = flat("encoder");
  optimizer.group("generator").gate = Tensor::full({}, 0);
  take_step(*learner, 2);
  CHECK(flat("generator") == generator);
  CHECK(flat("encoder") != encoder);
  CHECK(optimizer.steps("generator") == 1);
  CHECK(optimizer.steps("encoder") == 2);
  for (const Param* p : optimizer.group("generator").params) CHECK(!p->grad);
  take_step(*learner, 3);  // the gate held for one step
  CHECK(optimizer.steps("generator") == 2);
  optimizer.group("generator").gate = Tensor::full({}, 1);
  take_step(*learner, 4);
  CHECK(optimizer.steps("generator") == 3);
}

TEST_CASE("a wide margin lets all learn always; a narrow one lets somebody rest, and never both") {
  for (const double margin : {0.0, 50.0, 0.01}) {
    CAPTURE(margin);
    const auto learner = make_learner(small({fmt::format("loss.balance={}", margin)}));
    constexpr int64_t kSteps = 8;
    int64_t rested = 0;
    for (uint32_t step = 1; step <= kSteps; ++step) {
      const auto updates = [&](size_t optimizer, const char* group) {
        return learner->optimizers()[optimizer].second->steps(group);
      };
      const int64_t before_d = updates(1, "discriminator"), before_g = updates(0, "generator");
      take_step(*learner, step);
      const int64_t taken = updates(1, "discriminator") - before_d + updates(0, "generator") - before_g;
      CHECK(taken >= 1);
      rested += 2 - taken;
      CHECK(updates(0, "encoder") == step);
    }
    CHECK((rested > 0) == (margin == 0.01));
  }
}

TEST_CASE("the discriminator's width scales its channels, those of the compared features too") {
  Rng init(1);
  const Build build{Dtype::f32, &init};
  const auto count = [](int64_t a, int64_t b, int64_t c, int64_t d) {  // parameters, from the channels
    return 75 * a + 25 * (a * b + b * c + c * d) + 2 * (b + c + d) + 4 * d + 1;
  };
  CHECK(dcgan::Discriminator(build, 1).parameter_count() == count(64, 128, 256, 512));
  dcgan::Discriminator narrow(build, 0.25);
  CHECK(narrow.parameter_count() == count(16, 32, 64, 128));
  CHECK(narrow(Tensor::zeros({2, 32, 32, 3})).features.shape() == Shape{2, 4, 4, 64});
}

TEST_CASE("one pass of the generator takes both kinds of latents in one batch of statistics") {
  for (const int64_t passes : {1, 2}) {
    CAPTURE(passes);
    const auto learner = make_learner(small({fmt::format("model.generator_passes={}", passes)}));
    for (uint32_t step = 1; step <= 3; ++step) take_step(*learner, step);
    int seen = 0;
    for (const Param* p : learner->state())
      if (p->counter && p->name.starts_with("generator.")) {
        CHECK(p->value.item() == 3 * passes);
        ++seen;
      }
    CHECK(seen == 4);
  }
}

TEST_CASE("rates fall to 0 over the run, or over each stage for itself") {
  const auto factors = [](const std::vector<std::string>& sets, int64_t stage_two) {
    std::vector<std::string> all = {"train.steps=8", "schedule.switch=0.25"};
    all.insert(all.end(), sets.begin(), sets.end());
    const Recipe recipe = load_recipe("dae-vaegan-cifar10", all);
    std::vector<double> out;
    for (int64_t step = 0; step < 8; ++step)
      out.push_back(lr_factor(recipe, step, step < stage_two ? -1 : stage_two));
    return out;
  };
  using Factors = std::vector<double>;
  CHECK(factors({}, 2) == Factors{1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125});
  CHECK(factors({"schedule.rates=restart"}, 2) ==
        Factors{1, 0.5, 1, 1 - 1. / 6, 1 - 2. / 6, 1 - 3. / 6, 1 - 4. / 6, 1 - 5. / 6});
  // Stage 2 branches from step 1 of another run, so its rates begin there.
  CHECK(factors({"schedule.rates=restart"}, 1)[1] == 1);
  CHECK(factors({"schedule.rates=restart"}, 1)[7] == 1 - 6. / 7);
  CHECK(factors({"schedule.rates=restart", "optimizer.decay=constant"}, 2) == Factors(8, 1));
}

}  // namespace dae
