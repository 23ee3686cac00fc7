#include "train/learners/dae.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dae {

Strength first_strength(const Recipe& recipe) {
  const auto& s = recipe.schedule;
  if (s.kind != "dae") return {};
  if (s.weak == "width") return {s.width, {}};
  return {1, {s.drop, s.drop_kind == "channel"}};
}

void Decoupled::enter_stage_two() {
  stage_ = 2;
  AdamW& optimizer = autoencoder_optimizer();
  optimizer.freeze("encoder");
  encoder_module().train(false);
  if (recipe_.schedule.weak == "width") {
    Rng fresh(recipe_.seed, kSecondDecoderStep);
    const auto old =
        replace_decoder(fresh, {});  // its parameters are keys of the optimizer until the rebuild
    optimizer.rebuild(decoder_group(), decoder_params());
  } else {
    decoder_weakness().drop = 0;
  }
  also_at_the_switch();
}

Decoupled& decoupled(Learner& learner) {
  Decoupled* part = learner.decoupled();
  if (!part)
    fail(Fault::usage, "schedule.kind: expected \"joint\" for a model without an encoder to decouple");
  return *part;
}

int stage_of(Learner& learner) { return learner.decoupled() ? learner.decoupled()->stage() : 1; }

int64_t switch_step(const Recipe& recipe) {
  const auto& s = recipe.schedule;
  if (s.kind != "dae") return -1;
  return s.switch_step ? s.switch_step : int64_t(std::floor(s.switch_at * double(recipe.train.steps)));
}

double lr_factor(const Recipe& recipe, int64_t step, int64_t stage_two) {
  const auto& o = recipe.optimizer;
  if (o.decay == "constant") return 1;
  int64_t begin = 0, end = recipe.train.steps;  // of the decay
  if (recipe.schedule.rates == "restart") {
    if (stage_two >= 0) begin = stage_two;
    else if (recipe.schedule.kind == "dae") end = switch_step(recipe);
  }
  if (o.decay == "linear") return 1 - double(step - begin) / double(end - begin);
  if (step - begin < o.warmup) return double(step - begin + 1) / double(o.warmup);
  const double done = double(step - begin - o.warmup) / double(std::max<int64_t>(1, end - begin - o.warmup));
  return 0.5 * (1 + std::cos(std::numbers::pi * done));
}

std::string stage_two_note(const Recipe& recipe, int64_t step) {
  return fmt::format("stage 2 begins after step {}: the encoder is frozen, {}", step,
                     recipe.schedule.weak == "width" ? "a fresh decoder of full width learns"
                                                     : "the decoder goes on without dropout");
}

std::string schedule_in_words(const Recipe& recipe) {
  const auto& s = recipe.schedule;
  if (s.kind == "joint") return "Joint training: encoder and generator learn together throughout.";
  const std::string weak = s.weak == "width"
                               ? fmt::format("a generator of {} times the width", s.width)
                               : fmt::format("dropout ({}, {}) in the generator", s.drop, s.drop_kind);
  return fmt::format(
      "Decoupled autoencoder: stage 1 trains the encoder with {}; stage 2 freezes the encoder and trains the "
      "full "
      "generator{}.",
      weak, value(recipe, "schedule.discriminator") == "fresh" ? " against a fresh discriminator" : "");
}

}  // namespace dae
