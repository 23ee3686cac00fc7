// Whole training steps as `dae train` runs them, on random images that are already in memory.
#include <fmt/format.h>

#include "bench/bench.h"
#include "engine/ops.h"
#include "train/feed/feed.h"
#include "train/learners/learner.h"
#include "train/run/stepper.h"

namespace dae {

namespace bench {
namespace {

// Multiplications in the forward pass of one 32x32 image at full width, z_dim 128 (models/dcgan.h, vaegan.h).
constexpr double kGenerator = 128. * 4 * 1024 + 4. * 1024 * 16 * 512 + 16. * 512 * 16 * 256 +
                              64. * 256 * 16 * 128 + 256. * 128 * 16 * 3;
constexpr double kFirst = 256. * 75 * 64, kFeatures = 64. * 1600 * 128 + 16. * 3200 * 256,
                 kLast = 4. * 6400 * 512 + 2048;  // the three parts of the discriminator
constexpr double kDiscriminator = kFirst + kFeatures + kLast;
constexpr double kEncoderFirst = 256. * 48 * 128,
                 kEncoder =
                     kEncoderFirst + 64. * 2048 * 256 + 16. * 4096 * 512 + 4. * 8192 * 1024 + 4096. * 256;

// The discriminator's forward and backward while it trains. The gradient of its first input is not needed.
constexpr double kTrainDiscriminator = 3 * kDiscriminator - kFirst;

// The discriminator learns from real and from generated images. The generator learns from twice as many,
// through the gradients of the discriminator's inputs.
constexpr double kDcgan = kGenerator + 2 * kTrainDiscriminator + 2 * (3 * kGenerator + 2 * kDiscriminator);
// The discriminator learns from three kinds of images. Then come the features of the target, two passes
// through the discriminator and the generator's gradients for both. With the encoder, the gradient of the
// features goes down to the encoder's weights.
constexpr double kStageTwo = kEncoder + 2 * kGenerator + 3 * kTrainDiscriminator + kDiscriminator +
                             2 * kDiscriminator + 2 * kDiscriminator + 2 * 2 * kGenerator;
constexpr double kJoint = kStageTwo + kFirst + kFeatures + kGenerator + 2 * kEncoder - kEncoderFirst;
// Encoder 10-128-128-4 and decoder 2-128-128-10; forward and backward are three times the forward.
constexpr double kToy = 3 * (10. * 128 + 128 * 128 + 128 * 4 + 2 * 128 + 128 * 128 + 128 * 10);

// Returns the row of one kind of step. On CUDA the step is one captured graph (train.graph). On the emulated
// device the model has a twentieth of the width and the batch two images.
Row step(Device device, Dtype dtype, const std::string& kind, const std::string& label, int stage,
         int64_t batch, double multiplications) {
  const bool tiny = device == Device::cuda && kCuda == CudaBuild::emulated;
  if (tiny) batch = 2;
  Row row;
  row.op = "step " + label;
  row.shape = fmt::format("batch {}", batch);
  row.device = device, row.dtype = dtype;
  row.variant = device == Device::cpu ? "cpu" : variant_name("graph", dtype);
  row.flops = tiny ? 0 : 2 * multiplications * double(batch);
  row.fewer = kind == "toy" ? 1 : kWinograd;
  row.prepare = [=]() -> std::function<void(int64_t)> {
    Recipe recipe;
    recipe.model.kind = kind;
    if (kind == "toy") recipe.model.z_dim = 2;
    recipe.train.batch = batch;
    recipe.device = device, recipe.dtype = dae::name(dtype);
    recipe.train.graph = device == Device::cuda;
    if (tiny) recipe.model.width = 0.05;
    std::shared_ptr<Experiment> experiment = make_experiment(recipe, stage);
    auto batches = std::make_shared<std::vector<Tensor>>();
    Shape shape{batch};
    for (int64_t d : experiment->example_shape()) shape.push_back(d);
    for (uint32_t i = 0; i < 8; ++i) batches->push_back(tanh(normal(shape, Key{3, 0, i}, dtype, device)));
    auto stepper = std::make_shared<Stepper>(*experiment, recipe);
    return [=, kept = experiment](int64_t turn) {  // keeps the experiment, to which the stepper refers
      const auto noise = drawn_noise(0, uint32_t(turn), device, stepper->clock());
      stepper->take((*batches)[size_t(turn) % batches->size()], *noise, turn + 1, 1);
    };
  };
  return row;
}

}  // namespace

std::vector<Row> step_rows(Device device, Dtype dtype) {
  const auto make = [&](auto... arguments) { return step(device, dtype, arguments...); };
  std::vector<Row> rows = {
      make("dcgan", "dcgan", 1, 64, kDcgan),
      make("dcgan", "dcgan", 1, 128, kDcgan),
      make("vaegan", "vaegan, joint", 1, 64, kJoint),
      make("vaegan", "vaegan, joint", 1, 128, kJoint),
      make("vaegan", "vaegan, stage 2", 2, 64, kStageTwo),
      make("vaegan", "vaegan, stage 2", 2, 128, kStageTwo),
      make("toy", "toy", 1, 128, kToy),
  };
  // Steps beside other work. With n busy loops on two cores, a fair share of the time is 1 + n / 2 times as
  // long as alone.
  for (const int busy : {2, 4}) {
    if (device != Device::cpu) break;
    Row row = make("dcgan", fmt::format("dcgan beside {} busy loops", busy), 1, 64, 0.0);
    row.busy = busy;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace bench

}  // namespace dae
