#include "train/paper/toy_study.h"

#include <fmt/format.h>

#include <exception>

#include "data/sets/toy.h"
#include "kernels/cpu/parallel.h"
#include "train/run/training.h"

namespace dae {

namespace {

Tensor to_tensor(const std::vector<float>& x, int64_t dim, Dtype dtype) {
  Tensor t({int64_t(x.size()) / dim, dim});
  std::copy(x.begin(), x.end(), t.data<float>());
  return t.to(dtype);
}
std::vector<float> to_floats(const Tensor& t) {
  const std::vector<double> values = t.values();
  return {values.begin(), values.end()};
}

Recipe recipe_of(const ToyResult& result, int64_t run, const ToyOptions& options) {
  Recipe recipe = options.recipe;
  recipe.seed = random_bits({options.master, kInitStep, 0xD3u}, uint64_t(run));
  set(recipe, fmt::format("model.encoder_hidden={}", result.config.encoder_hidden));
  set(recipe, fmt::format("model.decoder_hidden={}", result.config.decoder_hidden));
  recipe.schedule.kind = result.config.dae ? "dae" : "joint";
  set(recipe, fmt::format("loss.reconstruction={}", double(result.weight)));
  return recipe;
}

}  // namespace

const std::vector<ToyConfig>& toy_configs() {
  static const std::vector<ToyConfig> configs = {{"VAE (64,128)", 64, 128, false},
                                                 {"VAE (128,64)", 128, 64, false},
                                                 {"VAE (128,128)", 128, 128, false},
                                                 {"DAE (128,128)", 128, 128, true}};
  return configs;
}

ToyAccuracy train_toy(const Recipe& recipe, ToyPoints* points) {
  Training training(recipe);
  while (!training.done()) {
    training.switch_if_due();
    training.step();
  }
  return judge_toy(*training.learner, recipe, points);
}

ToyAccuracy judge_toy(Learner& trained, const Recipe& recipe, ToyPoints* points) {
  const ToySpec spec{recipe.data.variance};
  const ToyData train = make_toy(spec, recipe.data.count, recipe.seed, 0),
                test = make_toy(spec, 1000, recipe.seed, 1);
  const int64_t dim = spec.dim;
  const Dtype dtype = dtype_from(recipe.dtype);
  const Tensor examples = to_tensor(train.x, dim, dtype), queries = to_tensor(test.x, dim, dtype);
  const std::vector<float> latent = to_floats(trained.encoder()->encode(queries));
  if (points) *points = {latent, {test.label.begin(), test.label.end()}};
  return {nearest_neighbour_accuracy(to_floats(trained.encoder()->encode(examples)), train.label, latent,
                                     test.label, int64_t(latent.size()) / queries.dim(0)),
          nearest_neighbour_accuracy(train.x, train.label, to_floats(reconstruct(trained, queries)),
                                     test.label, dim)};
}

std::vector<ToyResult> toy_study(const ToyOptions& options) {
  std::vector<ToyResult> results;
  for (double weight : options.weights)
    for (const ToyConfig& config : toy_configs())
      results.push_back({config, weight, std::vector<ToyAccuracy>(options.seeds)});

  const int64_t jobs = int64_t(results.size()) * options.seeds;
  std::vector<std::exception_ptr> errors(jobs);  // an exception must not leave a parallel region
  parallel_for(jobs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t job = begin; job < end; ++job) try {
        if (options.stopped && options.stopped()) return;
        ToyResult& result = results[job / options.seeds];
        const int64_t run = job % options.seeds;
        result.runs[run] = train_toy(recipe_of(result, run, options), run == 0 ? &result.points : nullptr);
      } catch (...) { errors[job] = std::current_exception(); }
  });
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  return results;
}

}  // namespace dae
