#include "train/run/trained.h"

#include "engine/ops.h"
#include "train/feed/feed.h"

namespace dae {

Trained load_trained(const std::string& run_at_step, Device device, const std::vector<std::string>& sets,
                     bool raw) {
  const std::filesystem::path checkpoint = find_checkpoint(run_at_step);
  const std::string folder = checkpoint.parent_path().parent_path().string();
  const Recipe recipe = load_recipe(folder + "/recipe.toml", sets, device);
  const Progress at = read_progress(checkpoint);
  Trained out{recipe, at, make_experiment(recipe, at.stage), folder};
  load_checkpoint(checkpoint, *out.experiment);
  if (recipe.optimizer.ema > 0 && !raw) out.averages = std::make_unique<Averages>(*out.experiment);
  return out;
}

void check_makes_images(const Trained& run, bool reconstructions) {
  const auto expect = [&](bool holds, const char* what) {
    if (!holds)
      fail(Fault::usage, "{}: expected a model {}, found a {}", run.folder, what, run.recipe.model.kind);
  };
  const NoGrad off;
  const std::vector<int64_t> shape = run.experiment->example_shape();
  expect(shape.size() == 3, "of images");
  const Device device = run.recipe.device;
  if (reconstructions) {
    const Tensor x = Tensor::zeros({1, shape[0], shape[1], shape[2]}, dtype_from(run.recipe.dtype), device);
    expect(bool(run.experiment->reconstruct(x)), "with an encoder and a decoder");
  } else {
    expect(bool(run.experiment->sample(1, *drawn_noise(run.recipe.seed, kPictureStep, device))),
           "with a generator");
  }
}

std::optional<double> reconstruct_data(const Trained& run, int64_t count,
                                       const std::function<void(const Tensor& x, const Tensor& y)>& f) {
  const NoGrad off;
  const Examples examples(run.recipe);
  double squares = 0;
  int64_t values = 0;
  for (int64_t begin = 0; begin < count; begin += kExamplesAtOnce) {
    const Tensor x = examples.range(begin, std::min(begin + kExamplesAtOnce, count)).x;
    const Tensor y = run.experiment->reconstruct(x);
    if (!y) return std::nullopt;
    for (const double d : sub(x, y).values()) squares += d * d;
    values += x.size();
    if (f) f(x, y);
  }
  return squares / double(values);
}

}  // namespace dae
