// `dae sample` and `dae reconstruct` write pictures from a checkpoint of a run.
#include "train/io/pictures.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/files/file.h"
#include "engine/ops.h"
#include "kernels/device/error.h"
#include "train/feed/feed.h"
#include "train/run/trained.h"
#include "train/verbs/verbs.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

// Loads the run. --seed changes the noise, and the data where they are drawn.
Trained load(const PictureArguments& arguments, const Options& options) {
  std::vector<std::string> sets = arguments.sets;
  if (options.seed) sets.push_back(fmt::format("seed={}", *options.seed));
  return load_trained(arguments.run, options.device, sets, arguments.raw);
}

enum class Form { grid, arrays, files };

// Returns the form that the name asks for. A folder must be new or empty, so that it holds only these images.
Form form_of(const std::string& path) {
  const std::string ending = fs::path(path).extension();
  std::error_code none;
  const bool folder = fs::is_directory(path, none);
  if (!folder && ending == ".png") return Form::grid;
  if (!folder && ending == ".npz") return Form::arrays;
  if (!folder && !ending.empty())
    fail(Fault::usage, "--out {}: expected a name ending in .png or .npz, or a folder, found another", path);
  if (folder && !fs::is_empty(path, none))
    fail(Fault::usage, "--out {}: expected a new or an empty folder, found files in it", path);
  return Form::files;
}

// Returns where the images go. Throws before they are made if they cannot be written there.
std::string output_path(const PictureArguments& arguments, const Trained& run, const char* name, Form form) {
  const std::string path =
      arguments.out.empty() ? fmt::format("{}/samples/{}.png", run.folder, name) : arguments.out;
  if (form == Form::files) make_folder(path);
  else prepare_output(path);
  return path;
}

void save_files(const std::string& folder, const Tensor& x) {
  make_folder(folder);
  for (int64_t i = 0; i < x.dim(0); ++i)
    save_grid(fmt::format("{}/{:05}.png", folder, i), slice(x, 0, i, i + 1), 1);
}

void tell(const std::string& path, int64_t count, const Trained& run, const Options& options,
          std::optional<double> mse = {}) {
  const bool averaged = run.averages != nullptr;
  if (options.json) {
    nlohmann::ordered_json out{
        {"file", path}, {"count", count}, {"step", run.at.step}, {"averaged", averaged}};
    if (mse) out["mse"] = *mse;
    fmt::print("{}\n", out.dump());
    return;
  }
  fmt::print("{}: {} images at step {}{}{}\n", path, count, run.at.step, averaged ? ", averaged weights" : "",
             mse ? fmt::format(", mean squared error {:.5g}", *mse) : "");
}

}  // namespace

int sample(const PictureArguments& arguments, const Options& options) {
  const Form form = arguments.out.empty() ? Form::grid : form_of(arguments.out);
  const Trained run = load(arguments, options);
  check_makes_images(run, false);
  const std::string path = output_path(arguments, run, "sample", form);
  const NoGrad off;
  const std::unique_ptr<Noise> noise = drawn_noise(run.recipe.seed, kPictureStep, run.recipe.device);
  std::vector<Tensor> parts;
  for (int64_t done = 0; done < arguments.count; done += kSamplesAtOnce) {
    parts.push_back(
        run.learner->generator()->generate(std::min(kSamplesAtOnce, arguments.count - done), *noise));
  }
  const Tensor x = concat(parts, 0);
  if (form == Form::grid) save_grid(path, x, std::llround(std::ceil(std::sqrt(double(arguments.count)))));
  else if (form == Form::arrays) save_arrays(path, x);
  else save_files(path, x);
  tell(path, arguments.count, run, options);
  return 0;
}

// The originals are written with the reconstructions: in the same grid, in a file NAME-originals.npz, or in a
// second folder.
int reconstruct(const PictureArguments& arguments, const Options& options) {
  const Form form = arguments.out.empty() ? Form::grid : form_of(arguments.out);
  const Trained run = load(arguments, options);
  check_makes_images(run, true);
  const std::string path = output_path(arguments, run, "reconstruction", form);
  const NoGrad off;
  std::vector<Tensor> before, after;
  const std::optional<double> mse =
      reconstruct_data(run, arguments.count,
                       [&](const Tensor& x, const Tensor& y) { before.push_back(x), after.push_back(y); });
  const Tensor x = concat(before, 0), y = concat(after, 0);
  if (form == Form::grid) {
    save_grid(path, side_by_side(x, y), 8);
  } else if (form == Form::arrays) {
    save_arrays(path, y), save_arrays(path.substr(0, path.size() - 4) + "-originals.npz", x);
  } else {
    save_files(path + "/reconstructions", y), save_files(path + "/originals", x);
  }
  tell(path, arguments.count, run, options, mse);
  return 0;
}

}  // namespace dae
