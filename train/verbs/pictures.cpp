// sample and reconstruct: pictures from the last checkpoint of a run.
#include "train/pictures.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/file.h"
#include "engine/ops.h"
#include "kernels/error.h"
#include "train/feed.h"
#include "train/trained.h"
#include "train/verbs.h"

namespace {

// --seed draws other noise, and other data where that is drawn.
Trained load(const PictureArguments& arguments, const Options& options) {
  std::vector<std::string> sets = arguments.sets;
  if (options.seed) sets.push_back(fmt::format("seed={}", *options.seed));
  return load_trained(arguments.run, options.device, sets);
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Where the images go; refused before they are made if they cannot be written there.
std::string output_path(const PictureArguments& arguments, const Trained& run, const char* name) {
  const std::string path =
      arguments.out.empty() ? fmt::format("{}/samples/{}.png", run.folder, name) : arguments.out;
  if (!ends_with(path, ".npz") && !ends_with(path, ".png"))
    fail(Fault::usage, "--out {}: expected a name ending in .png or .npz, found another", path);
  prepare_output(path);
  return path;
}

void save(const std::string& path, const Tensor& x, int64_t columns) {
  if (ends_with(path, ".npz")) save_arrays(path, x);
  else save_grid(path, x, columns);
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
  const Trained run = load(arguments, options);
  check_makes_images(run, false);
  const std::string path = output_path(arguments, run, "sample");
  const NoGrad off;
  const std::unique_ptr<Noise> noise = drawn_noise(run.recipe.seed, kPictureStep, run.recipe.device);
  std::vector<Tensor> parts;
  for (int64_t done = 0; done < arguments.count; done += kSamplesAtOnce) {
    parts.push_back(run.experiment->sample(std::min(kSamplesAtOnce, arguments.count - done), *noise));
  }
  save(path, concat(parts, 0), std::llround(std::ceil(std::sqrt(double(arguments.count)))));
  tell(path, arguments.count, run, options);
  return 0;
}

int reconstruct(const PictureArguments& arguments, const Options& options) {
  const Trained run = load(arguments, options);
  check_makes_images(run, true);
  const std::string path = output_path(arguments, run, "reconstruction");
  const NoGrad off;
  std::vector<Tensor> parts;
  const std::optional<double> mse =
      reconstruct_data(run, arguments.count, [&](const Tensor& x, const Tensor& y) {
        parts.push_back(ends_with(path, ".npz") ? y : side_by_side(x, y));
      });
  save(path, concat(parts, 0), 8);
  tell(path, arguments.count, run, options, {{"mse", *mse}});
  return 0;
}
