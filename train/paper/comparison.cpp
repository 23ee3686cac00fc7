#include "train/paper/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/files/file.h"
#include "kernels/device/error.h"
#include "train/io/run_lock.h"
#include "train/run/checkpoint.h"
#include "train/run/loop.h"
#include "train/run/signals.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

bool same_recipe(const Contender& contender) {
  return to_toml(load_recipe(contender.run + "/recipe.toml")) == to_toml(contender.recipe);
}

}  // namespace

void check_same_settings(const char* verb, const std::vector<Contender>& contenders, const char* next) {
  for (const Contender& contender : contenders)
    if (has_run(contender.run) && !same_recipe(contender))
      fail(Fault::usage,
           "{}: {}: expected a new folder or a run of the same settings, found one of others; {}", verb,
           contender.run, next);
}

void put_aside(const std::vector<Contender>& contenders, const Options& options) {
  for (const Contender& contender : contenders) {
    if (!has_run(contender.run)) continue;
    const RunLock lock(contender.run);  // a process that trains it must not lose its folder
    std::string aside;
    for (int n = 1; aside.empty() || fs::exists(aside); ++n) aside = fmt::format("{}.{}", contender.run, n);
    fs::rename(contender.run, aside);
    if (!options.quiet) fmt::print(stderr, "{} begins anew; the run before is {}\n", contender.run, aside);
  }
}

bool finished(const Contender& contender) {
  const std::vector<int64_t> steps = checkpoint_steps(contender.run);
  return !steps.empty() && steps.back() >= contender.recipe.train.steps;
}

int stopped(const Options& options) {
  if (signal_caught() == 0) return 0;
  if (!options.quiet) fmt::print(stderr, "stopped; the same command goes on where this one ended\n");
  return 128 + signal_caught();
}

int train_all(const std::vector<Contender>& contenders, const Options& options) {
  for (const Contender& contender : contenders) {
    const bool begun = has_run(contender.run);
    if (begun && finished(contender)) continue;
    if (!options.quiet) fmt::print(stderr, "\n{}: {}\n", contender.name, contender.run);
    run_training(contender.recipe, {.run = contender.run, .resume = begun, .quiet = options.quiet});
    if (const int code = stopped(options)) return code;
  }
  return 0;
}

std::vector<std::string> find_data(const char* verb, const std::vector<std::string>& settings) {
  std::string folder, named_by = "DAE_DATA=";
  if (const char* variable = std::getenv("DAE_DATA")) folder = variable;
  for (const std::string& setting : settings) {
    named_by = "data=";
    if (setting.rfind(named_by, 0) != 0)
      fail(Fault::usage, "{}: expected data=FOLDER, found \"{}\"; --set changes the recipes", verb, setting);
    folder = setting.substr(named_by.size());
  }
  if (folder.empty()) return {"data.kind=procedural"};
  for (const char* inner : {"", "/cifar-10-batches-bin", "/cifar10"}) {
    std::error_code ignored;
    if (fs::exists(folder + inner + "/test_batch.bin", ignored))
      return {"data.kind=cifar10", "data.path=" + toml_string(folder + inner)};
  }
  fail(
      Fault::data,
      "{}: {}{}: expected CIFAR-10's binary batches, found no test_batch.bin; without it built-in images are "
      "used",
      verb, named_by, folder);
}

void add_films(Report& page, const std::vector<RunRecord>& records) {
  size_t kinds = 0;
  for (const RunRecord& record : records) kinds = std::max(kinds, record.films.size());
  for (size_t kind = 0; kind < kinds; ++kind) {
    std::vector<Film> beside;
    for (const RunRecord& record : records)
      if (kind < record.films.size()) {
        beside.push_back(record.films[kind]);
        beside.back().title = record.name + ": " + beside.back().title;
      }
    page.pictures(beside);
  }
}

void add_costs(Report& page, const std::vector<RunRecord>& records) {
  page.section("Cost of each stage");
  page.table(stage_table(records));
  page.section("Recipes");
  for (const RunRecord& record : records) {
    page.text(record.name);
    page.code(to_toml(record.recipe));
  }
}

void add_runs(Report& page, const std::vector<RunRecord>& records) {
  page.section("Curves");
  for (const RunRecord& record : records)
    if (const std::string line = warning(record); !line.empty()) page.text(line);
  page.curves(metric_charts(records));
  page.table(glossary(records));
  page.section("Pictures");
  add_films(page, records);
  add_costs(page, records);
}

}  // namespace dae
