#include "train/run/trained.h"

#include "engine/ops.h"
#include "train/feed/feed.h"
#include "train/learners/registry.h"

namespace dae {

Trained load_trained(const std::string& run_at_step, Device device, const std::vector<std::string>& sets,
                     bool raw) {
  const std::filesystem::path checkpoint = find_checkpoint(run_at_step);
  const std::string folder = checkpoint.parent_path().parent_path().string();
  const Recipe recipe = load_recipe(folder + "/recipe.toml", sets, device);
  const Progress at = read_progress(checkpoint);
  Trained out{recipe, at, make_learner(recipe, at.stage), folder};
  load_checkpoint(checkpoint, *out.learner);
  if (recipe.optimizer.ema > 0 && !raw) out.averages = std::make_unique<Averages>(*out.learner);
  return out;
}

void check_makes_images(const Trained& run, bool reconstructions) {
  const auto expect = [&](bool holds, const char* what) {
    if (!holds)
      fail(Fault::usage, "{}: expected a model {}, found a {}", run.folder, what, run.recipe.model.kind);
  };
  expect(run.learner->example_shape().size() == 3, "of images");
  if (reconstructions)
    expect(run.learner->encoder() && run.learner->decoder(), "with an encoder and a decoder");
  else expect(run.learner->generator(), "with a generator");
}

std::optional<double> reconstruct_data(const Trained& run, int64_t count,
                                       const std::function<void(const Tensor& x, const Tensor& y)>& f) {
  const NoGrad off;
  const Examples examples(run.recipe);
  double squares = 0;
  int64_t values = 0;
  for (int64_t begin = 0; begin < count; begin += kExamplesAtOnce) {
    const Tensor x = examples.range(begin, std::min(begin + kExamplesAtOnce, count)).x;
    const Tensor y = reconstruct(*run.learner, x);
    if (!y) return std::nullopt;
    for (const double d : sub(x, y).values()) squares += d * d;
    values += x.size();
    if (f) f(x, y);
  }
  return squares / double(values);
}

}  // namespace dae
