#include "train/learners/registry.h"

#include "train/learners/dae.h"

namespace dae {

const std::vector<ModelKind>& model_kinds() {
  static const std::vector<ModelKind> kinds(learner_kinds().begin(), learner_kinds().end());
  return kinds;
}

std::unique_ptr<Learner> make_learner(const Recipe& recipe, int stage) {
  const Dtype dtype = dtype_from(recipe.dtype);
  const bool cpu = recipe.device == Device::cpu, small = dtype == Dtype::bf16 || dtype == Dtype::f16;
  if (cpu ? small : dtype == Dtype::f64)
    fail(Fault::usage, "dtype: expected {}, found {}; {}",
         cpu ? "f32 or f64 on the CPU" : "f32, bf16 or f16 on CUDA", recipe.dtype,
         cpu ? "add --device cuda, or --set dtype=f32" : "use --device cpu, or --set dtype=f32");
  for (const LearnerKind& kind : learner_kinds()) {
    if (kind.name != recipe.model.kind) continue;
    std::unique_ptr<Learner> learner = kind.make(recipe);
    if (stage == 2) decoupled(*learner).enter_stage_two();
    return learner;
  }
  fail(Fault::usage, "model.kind: expected one of {}, found \"{}\"",
       kinds_where([](const ModelKind&) { return true; }), recipe.model.kind);
}

AdamOptions adam_options(const Recipe& recipe, const std::string& name) {
  const auto& o = recipe.optimizer;
  const auto found = recipe.optimizers.find(name);
  const OptimizerChange change = found == recipe.optimizers.end() ? OptimizerChange{} : found->second;
  return {.beta1 = change.beta1.value_or(o.beta1),
          .beta2 = change.beta2.value_or(o.beta2),
          .decoupled = change.decoupled.value_or(o.decoupled),
          .ema = o.ema,
          .loss_scale = recipe.dtype == "f16" ? o.loss_scale : 0};
}

Group group(const Recipe& recipe, const std::string& optimizer, const std::string& name,
            std::vector<Param*> params) {
  const auto found = recipe.optimizers.find(optimizer);
  const OptimizerChange change = found == recipe.optimizers.end() ? OptimizerChange{} : found->second;
  return {name, std::move(params), change.lr.value_or(recipe.optimizer.lr),
          change.weight_decay.value_or(recipe.optimizer.weight_decay)};
}

void Learner::set_lr_factor(double factor) {
  for (const auto& [name, optimizer] : optimizers()) optimizer->set_lr_factor(factor);
}

void Averages::exchange() {
  for (const auto& [name, optimizer] : learner_.optimizers()) optimizer->exchange_averages();
}

Metrics read(const Losses& losses) {
  Metrics metrics;
  for (const auto& [name, value] : losses) metrics.push_back({name, value.item()});
  return metrics;
}

Tensor reconstruct(Learner& learner, const Tensor& x) {
  CanEncode* encoder = learner.encoder();
  CanDecode* decoder = learner.decoder();
  return encoder && decoder ? decoder->decode(encoder->encode(x)) : Tensor{};
}

}  // namespace dae
