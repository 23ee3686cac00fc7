#include "train/io/run_folder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "kernels/device/error.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

// Returns RUN, and STEP if the text is RUN@STEP.
std::pair<std::string, std::optional<int64_t>> split(const std::string& run_at_step) {
  const size_t at = run_at_step.rfind('@');
  if (at == std::string::npos || at + 1 == run_at_step.size() ||
      run_at_step.find_first_not_of("0123456789", at + 1) != std::string::npos)
    return {run_at_step, {}};
  return {run_at_step.substr(0, at), std::atoll(run_at_step.c_str() + at + 1)};
}

}  // namespace

bool has_run(const std::string& folder) {
  std::error_code none;
  return fs::exists(folder + "/recipe.toml", none);
}

bool is_run(const std::string& run_at_step) { return has_run(split(run_at_step).first); }

fs::path checkpoint_path(const std::string& run, int64_t step) {
  return fs::path(run) / "checkpoints" / fmt::format("step-{:08}.safetensors", step);
}

std::vector<int64_t> checkpoint_steps(const std::string& run) {
  std::vector<int64_t> steps;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(fs::path(run) / "checkpoints", none)) {
    const std::string name = entry.path().filename().string();
    const int64_t step = name.rfind("step-", 0) == 0 ? std::atoll(name.c_str() + 5) : -1;
    if (step >= 0 && entry.path() == checkpoint_path(run, step)) steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

fs::path find_checkpoint(const std::string& run_at_step) {
  const auto [run, wanted] = split(run_at_step);
  const std::vector<int64_t> steps = checkpoint_steps(run);
  if (steps.empty())
    fail(Fault::data, "checkpoint: {}: expected a run folder with checkpoints/step-*.safetensors, found none",
         run);
  if (!wanted) return checkpoint_path(run, steps.back());
  if (!std::binary_search(steps.begin(), steps.end(), *wanted))
    fail(Fault::data, "checkpoint: {}: expected a checkpoint of step {}, found those of steps {}", run,
         *wanted, fmt::join(steps, ", "));
  return checkpoint_path(run, *wanted);
}

std::string weights_file(const std::string& file_or_run) {
  std::error_code none;
  const bool file = fs::is_regular_file(file_or_run, none);
  const bool run = !file && (fs::is_directory(file_or_run, none) || split(file_or_run).second);
  return run ? find_checkpoint(file_or_run).string() : file_or_run;
}

}  // namespace dae
