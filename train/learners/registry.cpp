#include "train/learners/registry.h"

#include <cmath>

namespace dae {

AdamOptions adam_options(const Recipe& recipe) {
  const auto& o = recipe.optimizer;
  return {.beta1 = o.beta1,
          .beta2 = o.beta2,
          .decoupled = o.decoupled,
          .ema = o.ema,
          .loss_scale = recipe.dtype == "f16" ? o.loss_scale : 0};
}

void Experiment::set_lr_factor(double factor) {
  for (const auto& [name, optimizer] : optimizers()) optimizer->set_lr_factor(factor);
}

void Averages::exchange() {
  for (const auto& [name, optimizer] : experiment_.optimizers()) optimizer->exchange_averages();
}

std::unique_ptr<Experiment> make_experiment(const Recipe& recipe, int stage) {
  const Dtype dtype = dtype_from(recipe.dtype);
  const bool cpu = recipe.device == Device::cpu, small = dtype == Dtype::bf16 || dtype == Dtype::f16;
  if (cpu ? small : dtype == Dtype::f64)
    fail(Fault::usage, "dtype: expected {}, found {}; {}",
         cpu ? "f32 or f64 on the CPU" : "f32, bf16 or f16 on CUDA", recipe.dtype,
         cpu ? "add --device cuda, or --set dtype=f32" : "use --device cpu, or --set dtype=f32");
  const std::string& kind = recipe.model.kind;
  if (kind == "toy") return make_toy(recipe, stage);
  if (kind == "dcgan") return make_dcgan(recipe);
  if (kind == "vae") return make_vae(recipe, stage);
  if (kind == "vaegan") return make_vaegan(recipe, stage);
  if (kind == "simclr") return make_simclr(recipe);
  if (kind == "dcgan-simclr") return make_dcgan_simclr(recipe);
  fail(Fault::usage, "model.kind: expected toy, vae, dcgan, vaegan, simclr or dcgan-simclr, found \"{}\"",
       kind);
}

Metrics read(const Losses& losses) {
  Metrics metrics;
  for (const auto& [name, value] : losses) metrics.push_back({name, value.item()});
  return metrics;
}

int64_t switch_step(const Recipe& recipe) {
  const auto& s = recipe.schedule;
  if (s.kind != "dae") return -1;
  return s.switch_step ? s.switch_step : int64_t(std::floor(s.switch_at * double(recipe.train.steps)));
}

double lr_factor(const Recipe& recipe, int64_t step, int64_t stage_two) {
  if (recipe.optimizer.decay != "linear") return 1;
  int64_t begin = 0, end = recipe.train.steps;  // the steps over which the rate decays
  if (recipe.schedule.rates == "restart") {
    if (stage_two >= 0) begin = stage_two;
    else if (recipe.schedule.kind == "dae") end = switch_step(recipe);
  }
  return 1 - double(step - begin) / double(end - begin);
}

}  // namespace dae
