// `dae compare A B` trains two recipes, or one recipe with two settings, on the same budget and seeds, and
// prints statistics of their paired differences.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/device/error.h"
#include "train/feed/feed.h"
#include "train/io/run_lock.h"
#include "train/paper/comparison.h"
#include "train/paper/confidence.h"
#include "train/run/signals.h"
#include "train/run/trained.h"
#include "train/verbs/verbs.h"

namespace dae {

namespace {

using nlohmann::ordered_json;

struct Measure {
  std::string name;
  const char* better;        // "lower", "higher", or "": the value alone says nothing about quality
  std::vector<double> a, b;  // one per seed
};

// Returns a metric that the run logged up to its end; null if it has none, or only in stage 1.
const Series* find(const RunRecord& run, const std::string& name) {
  for (const Series& series : run.metrics)
    if (series.name == name && !series.x.empty() && int64_t(series.x.back()) == run.step) return &series;
  return nullptr;
}

double step_seconds(const RunRecord& run) {  // returns the mean over all stages
  double seconds = 0;
  int64_t steps = 0;
  for (const StageCost& stage : run.stages) {
    seconds += stage.step_seconds * double(stage.to - stage.from);
    steps += stage.to - stage.from;
  }
  return seconds / double(std::max<int64_t>(1, steps));
}

// Returns which direction of a logged metric is better: lower for an error, higher for an accuracy. The
// others have none: adversarial losses depend on the opponent, and the scales of features and sums differ
// between runs.
const char* better(const std::string& metric) {
  return metric == "loss_rec" ? "lower" : metric == "knn" ? "higher" : "";
}

// Returns everything that both sides can be measured by. runs: a and b of the first seed, then a and b of the
// next.
std::vector<Measure> measure(const std::vector<Contender>& runs, const std::vector<RunRecord>& records,
                             int64_t images) {
  std::vector<Measure> out;
  const auto add = [&](const std::string& name, const char* better, const std::vector<double>& values) {
    Measure m{name, better, {}, {}};
    for (size_t i = 0; i < values.size(); ++i) (i % 2 ? m.b : m.a).push_back(values[i]);
    out.push_back(std::move(m));
  };
  const auto of_each = [&](const auto& value) {
    std::vector<double> values;
    for (const RunRecord& record : records) values.push_back(value(record));
    return values;
  };
  std::vector<double> errors;
  for (const Contender& run : runs)
    if (const auto others = held_out(run.recipe)) {
      Trained trained = load_trained(run.run, run.recipe.device);
      trained.recipe = *others;
      if (const auto error = reconstruct_data(trained, images)) errors.push_back(*error);
    }
  if (errors.size() == runs.size()) add("reconstruction error, held out", "lower", errors);
  for (const Series& series : records.front().metrics)
    if (std::all_of(records.begin(), records.end(), [&](const RunRecord& r) { return find(r, series.name); }))
      add(series.name + ", last tenth", better(series.name),
          of_each([&](const RunRecord& r) { return last_tenth(*find(r, series.name)); }));
  add("step time, ms", "lower", of_each([](const RunRecord& r) { return 1e3 * step_seconds(r); }));
  return out;
}

const char* verdict(const Paired& p) {
  if (p.count < 2) return "one seed";
  if (!p.decided()) return "undecided";
  return p.difference < 0 ? "B lower" : "A lower";
}

std::string interval(const Paired& p) {
  if (p.count < 2) return "-";
  return fmt::format("{:.4g} to {:.4g}", p.difference - p.half_width, p.difference + p.half_width);
}

std::string mean_of_runs(double mean, double deviation, int count) {
  return count < 2 ? fmt::format("{:.5g} (-)", mean) : fmt::format("{:.5g} ({:.2g})", mean, deviation);
}

Table table_of(const std::vector<Measure>& measures) {
  Table table{{"", "better", "A", "B", "B - A", "95 % interval", ""}, {}, ""};
  for (const Measure& m : measures) {
    const Paired p = paired(m.a, m.b);
    table.rows.push_back({m.name, *m.better ? m.better : "-", mean_of_runs(p.mean_a, p.std_a, p.count),
                          mean_of_runs(p.mean_b, p.std_b, p.count), fmt::format("{:+.4g}", p.difference),
                          interval(p), verdict(p)});
  }
  return table;
}

ordered_json to_json(const std::vector<Measure>& measures) {
  ordered_json rows = ordered_json::array();
  for (const Measure& m : measures) {
    const Paired p = paired(m.a, m.b);
    rows.push_back(
        {{"name", m.name}, {"better", m.better}, {"a", m.a}, {"b", m.b}, {"difference", p.difference}});
    if (p.count > 1) rows.back()["interval"] = {p.difference - p.half_width, p.difference + p.half_width};
    rows.back()["verdict"] = verdict(p);
  }
  return rows;
}

Recipe side(const std::string& recipe, const CompareArguments& arguments, const std::vector<std::string>& own,
            uint64_t seed, const Options& options) {
  std::vector<std::string> sets = arguments.sets;
  sets.insert(sets.end(), own.begin(), own.end());
  sets.push_back(fmt::format("seed={}", seed));
  const Recipe out = load_recipe(recipe, sets, options.device, Sets::shared);
  check_effect(own, {out});
  return out;
}

}  // namespace

int compare(const CompareArguments& arguments, const Options& options) {
  const SignalWatch watch;
  const uint64_t first = options.seed.value_or(0);
  std::vector<Contender> runs;
  for (uint64_t seed = first; seed < first + uint64_t(arguments.seeds); ++seed) {
    const Recipe a = side(arguments.a, arguments, arguments.sets_a, seed, options);
    const Recipe b = side(arguments.b, arguments, arguments.sets_b, seed, options);
    check_effect(arguments.sets, {a, b});
    if (a.train.steps != b.train.steps || a.train.batch != b.train.batch)
      fail(Fault::usage,
           "compare: expected the same budget for both, found {} steps of {} and {} of {}; set train.steps "
           "and "
           "train.batch with --set",
           a.train.steps, a.train.batch, b.train.steps, b.train.batch);
    runs.push_back({fmt::format("A, seed {}", seed), fmt::format("{}/a-seed-{}", arguments.out, seed), a});
    runs.push_back({fmt::format("B, seed {}", seed), fmt::format("{}/b-seed-{}", arguments.out, seed), b});
  }
  check_same_settings("compare", runs);
  const RunLock lock(arguments.out);
  if (const int code = train_all(runs, options)) return code;

  std::vector<RunRecord> records;
  for (const Contender& run : runs) records.push_back(read_run(run.run, run.name));
  const std::vector<Measure> measures = measure(runs, records, arguments.images);
  const Table table = table_of(measures);
  const Recipe& recipe = runs.front().recipe;
  const std::string label =
      fmt::format("A: {}{}{}. B: {}{}{}. Each {} steps of {} examples, seeds {} to {}, the same for both.",
                  arguments.a, arguments.sets_a.empty() ? "" : " with ", fmt::join(arguments.sets_a, ", "),
                  arguments.b, arguments.sets_b.empty() ? "" : " with ", fmt::join(arguments.sets_b, ", "),
                  recipe.train.steps, recipe.train.batch, first, first + uint64_t(arguments.seeds) - 1);
  const std::string note =
      "Mean (deviation of a run; one has none). Better: where one direction is. The interval is Student's t "
      "for the paired differences; undecided: it "
      "holds 0.";
  const std::string page_path = arguments.out + "/report.html";
  Report page("Two recipes on the same budget", label);
  page.section("Measures");
  page.table(table);
  page.text(note);
  add_runs(page, records);
  page.write(page_path);
  if (options.json) {
    fmt::print("{}\n", ordered_json{{"a", arguments.a},
                                    {"b", arguments.b},
                                    {"label", label},
                                    {"steps", recipe.train.steps},
                                    {"batch", recipe.train.batch},
                                    {"first_seed", first},
                                    {"seeds", arguments.seeds},
                                    {"measures", to_json(measures)},
                                    {"report", page_path}}
                           .dump());
  } else {
    fmt::print("{}\n\n", label);
    fmt::print("{}", plain_text(table));
    fmt::print("\n  {}\n\nReport: {}\n", note, page_path);
  }
  return 0;
}

}  // namespace dae
