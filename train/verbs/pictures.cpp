// sample and reconstruct: pictures from the last checkpoint of a run.
#include "train/pictures.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/ops.h"
#include "kernels/error.h"
#include "train/feed.h"
#include "train/trained.h"
#include "train/verbs.h"

namespace {

// --seed draws other noise, and other data where that is drawn.
Trained load(const std::string& run, const Options& options) {
  std::vector<std::string> sets;
  if (options.seed) sets.push_back(fmt::format("seed={}", *options.seed));
  return load_trained(run, options.device, sets);
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void save(const std::string& path, const Tensor& x, int64_t columns) {
  if (x.rank() != 4)
    fail(Fault::usage, "{}: expected a model of images, found data of shape {}", path, x.shape().str());
  if (ends_with(path, ".npz")) save_arrays(path, x);
  else if (ends_with(path, ".png")) save_grid(path, x, columns);
  else fail(Fault::usage, "--out {}: expected a name ending in .png or .npz, found another", path);
}

void tell(const std::string& path, int64_t count, const Trained& run, const Options& options,
          const std::vector<std::pair<std::string, double>>& more = {}) {
  nlohmann::ordered_json out{{"file", path}, {"count", count}, {"step", run.at.step}};
  for (const auto& [name, value] : more) out[name] = value;
  if (options.json) fmt::print("{}\n", out.dump());
  else fmt::print("{}\n", path);
}

}  // namespace

int sample(const PictureArguments& arguments, const Options& options) {
  const Trained run = load(arguments.run, options);
  const NoGrad off;
  const std::unique_ptr<Noise> noise = drawn_noise(run.recipe.seed, kPictureStep, run.recipe.device);
  std::vector<Tensor> parts;
  for (int64_t done = 0; done < arguments.count; done += kSamplesAtOnce) {
    parts.push_back(run.experiment->sample(std::min(kSamplesAtOnce, arguments.count - done), *noise));
    if (!parts.back())
      fail(Fault::usage, "sample: {}: expected a model with a generator, found a {}", run.folder,
           run.recipe.model.kind);
  }
  const std::string path = arguments.out.empty() ? run.folder + "/samples/sample.png" : arguments.out;
  save(path, concat(parts, 0), std::llround(std::ceil(std::sqrt(double(arguments.count)))));
  tell(path, arguments.count, run, options);
  return 0;
}

int reconstruct(const PictureArguments& arguments, const Options& options) {
  const Trained run = load(arguments.run, options);
  const NoGrad off;
  const std::string path = arguments.out.empty() ? run.folder + "/samples/reconstruction.png" : arguments.out;
  std::vector<Tensor> parts;
  const std::optional<double> mse =
      reconstruct_data(run, arguments.count, [&](const Tensor& x, const Tensor& y) {
        parts.push_back(ends_with(path, ".npz") ? y : side_by_side(x, y));
      });
  if (!mse)
    fail(Fault::usage, "reconstruct: {}: expected a model with an encoder and a decoder, found a {}",
         run.folder, run.recipe.model.kind);
  save(path, concat(parts, 0), 8);
  tell(path, arguments.count, run, options, {{"mse", *mse}});
  return 0;
}
