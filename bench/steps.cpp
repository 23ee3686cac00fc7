// Whole training steps as `dae train` runs them, on random images that are already in memory.
#include <fmt/format.h>

#include "bench/bench.h"
#include "engine/ops.h"
#include "train/feed/feed.h"
#include "train/learners/registry.h"
#include "train/machine/plan.h"
#include "train/run/stepper.h"

namespace dae {

namespace bench {
namespace {

Recipe recipe_of(const std::string& kind, int64_t batch) {
  Recipe recipe = of_kind(kind);
  if (kind == "toy") set(recipe, "model.z_dim=2");
  recipe.train.batch = batch;
  return recipe;
}

// Returns the FLOPs of a step as `dae train --plan` counts them.
double flops_of(const std::string& kind, int stage, int64_t batch) {
  Recipe recipe = recipe_of(kind, batch);
  if (stage == 2) recipe.schedule.kind = "dae";
  return make_plan(recipe).phases.back().flops;
}

// Returns the row of one kind of step. On CUDA the step is one captured graph (train.graph). On the emulated
// device the model has a twentieth of the width and the batch two images.
Row step(Device device, Dtype dtype, const std::string& kind, const std::string& label, int stage,
         int64_t batch, bool counted = true) {
  const bool tiny = device == Device::cuda && kCuda == CudaBuild::emulated;
  if (tiny) batch = 2;
  Row row;
  row.op = "step " + label;
  row.shape = fmt::format("batch {}", batch);
  row.device = device, row.dtype = dtype;
  row.variant = device == Device::cpu ? "cpu" : variant_name("graph", dtype);
  row.flops = tiny || !counted ? 0 : flops_of(kind, stage, batch);
  row.fewer = kind == "toy" ? 1 : kWinograd;
  row.prepare = [=]() -> std::function<void(int64_t)> {
    Recipe recipe = recipe_of(kind, batch);
    recipe.device = device, recipe.dtype = dae::name(dtype);
    recipe.train.graph = device == Device::cuda;
    if (tiny && kind != "toy") set(recipe, "model.width=0.05");
    std::shared_ptr<Learner> learner = make_learner(recipe, stage);
    auto batches = std::make_shared<std::vector<Tensor>>();
    Shape shape{batch};
    for (int64_t d : learner->example_shape()) shape.push_back(d);
    for (uint32_t i = 0; i < 8; ++i) batches->push_back(tanh(normal(shape, Key{3, 0, i}, dtype, device)));
    const Tensor labels = Tensor({batch}, Dtype::i64).to(device);
    auto stepper = std::make_shared<Stepper>(*learner, recipe);
    return [=, kept = learner](int64_t turn) {  // keeps the learner, to which the stepper refers
      const auto noise = drawn_noise(0, uint32_t(turn), device, stepper->clock());
      stepper->take({(*batches)[size_t(turn) % batches->size()], labels}, {*noise, turn + 1}, 1);
    };
  };
  return row;
}

}  // namespace

std::vector<Row> step_rows(Device device, Dtype dtype) {
  const auto make = [&](auto... arguments) { return step(device, dtype, arguments...); };
  std::vector<Row> rows = {
      make("dcgan", "dcgan", 1, 64),
      make("dcgan", "dcgan", 1, 128),
      make("vaegan", "vaegan, joint", 1, 64),
      make("vaegan", "vaegan, joint", 1, 128),
      make("vaegan", "vaegan, stage 2", 2, 64),
      make("vaegan", "vaegan, stage 2", 2, 128),
      make("toy", "toy", 1, 128),
  };
  // Steps beside other work. With n busy loops on two cores, a fair share of the time is 1 + n / 2 times as
  // long as alone.
  for (const int busy : {2, 4}) {
    if (device != Device::cpu) break;
    Row row = make("dcgan", fmt::format("dcgan beside {} busy loops", busy), 1, 64, false);
    row.busy = busy;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace bench

}  // namespace dae
