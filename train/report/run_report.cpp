#include "train/report/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "data/files/file.h"
#include "train/learners/dae.h"
#include "train/recipe/words.h"

namespace dae {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

namespace {

constexpr double kMiB = 1024. * 1024.;

std::vector<ordered_json> read_lines(const std::string& path) {
  std::vector<ordered_json> out;
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line);) {
    ordered_json object = ordered_json::parse(line, nullptr, false);
    if (object.is_object() && object.contains("step") && object["step"].is_number_integer())
      out.push_back(std::move(object));
  }
  return out;
}

double number(const ordered_json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? found->get<double>() : 0;
}

// Returns one series per key, in the order in which the keys first appear.
std::vector<Series> series_of(const std::vector<ordered_json>& lines) {
  std::vector<Series> out;
  for (const ordered_json& line : lines)
    for (const auto& [key, value] : line.items()) {
      if (key == "step" || !value.is_number()) continue;
      auto found = std::find_if(out.begin(), out.end(), [&](const Series& s) { return s.name == key; });
      if (found == out.end()) found = out.insert(out.end(), {key, {}, {}});
      found->x.push_back(line["step"].get<double>());
      found->y.push_back(value.get<double>());
    }
  return out;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Returns the cost of each stage. "seconds" and "data_wait" count from the start of the process, so that they
// begin again at 0 in a resumed run. start: the step at which the run began; above 0 for a stage 2 branched
// from another run.
std::vector<StageCost> stage_costs(const std::vector<ordered_json>& lines, int64_t start) {
  std::vector<StageCost> out;
  std::vector<double> times, nodes;
  double seconds = 0, wait = 0;
  int64_t step = start;
  const auto close = [&] {
    if (out.empty()) return;
    out.back().step_seconds = median(times), out.back().backward_nodes = median(nodes);
    times.clear(), nodes.clear();
  };
  for (const ordered_json& line : lines) {
    const int stage = int(number(line, "stage"));
    if (out.empty() || out.back().stage != stage) {
      close();
      out.push_back({});
      out.back().stage = stage, out.back().from = step;
    }
    StageCost& cost = out.back();
    const double now = number(line, "seconds"), waited = number(line, "data_wait");
    cost.wall_seconds += now < seconds ? now : now - seconds;
    cost.data_wait += waited < wait || now < seconds ? waited : waited - wait;
    seconds = now, wait = waited;
    cost.to = step = line["step"].get<int64_t>();
    cost.peak_bytes = std::max(cost.peak_bytes, number(line, "peak_bytes"));
    cost.trainable = number(line, "trainable");
    times.push_back(number(line, "step_seconds"));
    nodes.push_back(number(line, "backward_nodes"));
  }
  close();
  return out;
}

std::string milliseconds(double seconds) { return fmt::format("{:.4g} ms", 1e3 * seconds); }
std::string mib(double bytes) { return fmt::format("{:.1f} MiB", bytes / kMiB); }

std::string thousands(double v) {
  std::string digits = fmt::format("{:.0f}", v);
  for (int at = int(digits.size()) - 3; at > 0; at -= 3) digits.insert(size_t(at), 1, ',');
  return digits;
}

// Reads pictures such as samples/step-00000020-sample.png and returns one film per kind.
std::vector<Film> read_films(const std::string& folder, const Recipe& recipe) {
  std::map<std::string, std::map<int64_t, std::string>> kinds;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder + "/samples", none)) {
    const std::string name = entry.path().stem().string();
    const size_t dash = name.find('-', 5);
    if (entry.path().extension() == ".png" && name.rfind("step-", 0) == 0 && dash != std::string::npos)
      kinds[name.substr(dash + 1)][std::atoll(name.c_str() + 5)] = entry.path().string();
  }
  const char* samples = recipe.model.kind == "dcgan-simclr" ? "Samples, from encodings of training images"
                                                            : "Samples from the prior";
  std::vector<Film> films;
  for (const auto& [kind, pictures] : kinds) {
    Film film{kind == "sample"           ? samples
              : kind == "views"          ? "Training images in two views each, as augmented"
              : kind == "reconstruction" ? "Training images, each beside its reconstruction"
                                         : kind,
              {}};
    for (const auto& [step, path] : pictures) film.pictures.push_back({fmt::format("step {}", step), path});
    films.push_back(std::move(film));
  }
  std::reverse(films.begin(), films.end());  // samples come before reconstructions
  return films;
}

std::vector<Mark> marks_of(const std::vector<StageCost>& stages) {
  std::vector<Mark> out;
  for (const StageCost& cost : stages)
    if (cost.stage == 2) out.push_back({double(cost.from), "stage 2"});
  return out;
}

// Returns a sentence on what the freeze saves, with this run's own figures.
std::string saving(const Recipe& recipe, const StageCost& one, const StageCost& two) {
  std::string out = fmt::format(
      "In stage 2 the encoder is frozen: it runs forward only, nothing of it is recorded or kept. A step's "
      "backward passes "
      "run {:.0f} nodes of the tape instead of {:.0f} and update {} parameters instead of {}; step time is "
      "{:.2f} and peak memory {:.2f} of stage 1's.",
      two.backward_nodes, one.backward_nodes, thousands(two.trainable), thousands(one.trainable),
      two.step_seconds / std::max(one.step_seconds, 1e-12), two.peak_bytes / std::max(one.peak_bytes, 1.));
  if (recipe.schedule.weak == "width")
    out +=
        " Stage 2 also trains the full generator, which costs more than the weak one of stage 1: the two "
        "effects are "
        "in these figures together.";
  return out;
}

std::vector<Fact> manifest_facts(const std::string& path) {
  std::error_code none;
  if (!fs::exists(path, none)) return {};
  const ordered_json manifest = ordered_json::parse(read_file(path, int64_t{1} << 24), nullptr, false);
  std::vector<Fact> out;
  if (manifest.is_object())
    for (const auto& [key, value] : manifest.items())
      out.push_back({key, value.is_string() ? value.get<std::string>() : value.dump()});
  return out;
}

// Returns a table with one column per start of the run whose environment differs from that of the start
// before.
Table environment_table(const std::string& path) {
  Table table;
  ordered_json before;
  for (ordered_json& line : read_lines(path)) {
    const std::string step = fmt::format("from step {}", line["step"].get<int64_t>());
    line.erase("step");
    if (line == before) continue;
    table.header.push_back(step);
    for (const auto& [key, value] : line.items()) {
      auto row =
          std::find_if(table.rows.begin(), table.rows.end(), [&](const auto& r) { return r[0] == key; });
      if (row == table.rows.end()) row = table.rows.insert(table.rows.end(), std::vector<std::string>{key});
      row->resize(table.header.size());
      row->push_back(value.is_string() ? value.get<std::string>() : value.dump());
    }
    before = std::move(line);
  }
  if (table.header.size() == 1) table.header.clear();
  else table.header.insert(table.header.begin(), "");
  return table;
}

}  // namespace

RunRecord read_run(const std::string& folder, const std::string& name) {
  RunRecord run;
  run.folder = folder;
  const fs::path full = fs::absolute(folder).lexically_normal();
  run.name = !name.empty() ? name : (full.has_filename() ? full : full.parent_path()).filename().string();
  run.recipe = load_recipe(folder + "/recipe.toml");
  const std::vector<ordered_json> metrics = read_lines(folder + "/metrics.jsonl"),
                                  timing = read_lines(folder + "/timing.jsonl");
  run.metrics = series_of(metrics);
  run.timing = series_of(timing);
  const std::vector<ordered_json> starts = read_lines(folder + "/environment.jsonl");
  run.stages = stage_costs(timing, starts.empty() ? 0 : starts[0]["step"].get<int64_t>());
  run.films = read_films(folder, run.recipe);
  if (!metrics.empty()) run.step = metrics.back()["step"].get<int64_t>();
  return run;
}

std::vector<Chart> metric_charts(const std::vector<RunRecord>& runs) {
  std::vector<Chart> charts;
  for (const RunRecord& run : runs)
    for (Series series : run.metrics) {
      auto chart =
          std::find_if(charts.begin(), charts.end(), [&](const Chart& c) { return c.title == series.name; });
      if (chart == charts.end()) chart = charts.insert(charts.end(), Chart{series.name, {}, {}});
      for (const Mark& mark : marks_of(run.stages))
        if (std::none_of(chart->marks.begin(), chart->marks.end(),
                         [&](const Mark& m) { return m.x == mark.x; }))
          chart->marks.push_back(mark);
      series.name = run.name;
      chart->series.push_back(std::move(series));
    }
  Chart all;  // All charts have one x axis: a metric of stage 1 alone ends early.
  for (const Chart& chart : charts)
    for (const Series& series : chart.series)
      if (!series.x.empty())
        all.x_low = std::fmin(all.x_low, series.x.front()),
        all.x_high = std::fmax(all.x_high, series.x.back());
  for (Chart& chart : charts) chart.x_low = all.x_low, chart.x_high = all.x_high;
  return charts;
}

Table glossary(const std::vector<RunRecord>& runs) {
  static const std::vector<std::array<const char*, 2>> words = {
      {"loss", "what encoder and decoder minimise together; in stage 2 without the KL term"},
      {"loss_rec",
       "squared error of the reconstruction of the step's own images, a mean; of the toy's points, a sum"},
      {"loss_kl",
       "how far the latents' distribution lies from the prior N(0, I), in nats an image; stage 1 only"},
      {"loss_e", "what the encoder minimises: KL, feature and pixel terms by their weights; stage 1 only"},
      {"loss_g", "what the generator minimises: feature, adversarial and pixel terms by their weights"},
      {"loss_d",
       "the discriminator's loss: 1.39 where it guesses, near 0 where it has won and teaches nothing"},
      {"loss_feature",
       "distance of image and reconstruction in the discriminator's features; its scale moves "
       "with the discriminator, so that two runs cannot be compared by it"},
      {"loss_adversarial", "how surely generated images are found out: 0.69 where the discriminator guesses"},
      {"knn", "accuracy of nearest neighbours in the encoder's features"}};
  Table table;
  for (const Chart& chart : metric_charts(runs))
    for (const auto& [name, meaning] : words)
      if (chart.title == name) table.rows.push_back({name, meaning});
  return table;
}

double last_tenth(const Series& series) {
  const size_t count = std::max<size_t>(1, series.y.size() / 10);
  double sum = 0;
  for (size_t i = series.y.size() - count; i < series.y.size(); ++i) sum += series.y[i];
  return sum / double(count);
}

std::string warning(const RunRecord& run) {
  constexpr double kWon = 0.05;
  for (const Series& series : run.metrics)
    if (series.name == "loss_d" && !series.y.empty() && last_tenth(series) < kWon)
      return fmt::format(
          "{}: the discriminator has won: loss_d is {:.2g} on average over the last tenth of the run. It "
          "tells "
          "every image from every reconstruction, and the generator learns little from it; try "
          "--set model.discriminator_width={}, loss.balance=0.35 or schedule.discriminator=fresh.",
          run.name, last_tenth(series), value(run.recipe, "model.width"));
  return "";
}

Table stage_table(const std::vector<RunRecord>& runs) {
  Table table;
  if (runs.size() > 1) table.header.push_back("run");
  for (const char* column : {"stage", "steps", "median step", "images/s", "peak memory", "backward nodes",
                             "trained parameters", "time", "data wait"})
    table.header.push_back(column);
  for (const RunRecord& run : runs)
    for (const StageCost& cost : run.stages) {
      std::vector<std::string> row;
      if (runs.size() > 1) row.push_back(run.name);
      for (std::string cell :
           {std::to_string(cost.stage), fmt::format("{} to {}", cost.from, cost.to),
            milliseconds(cost.step_seconds),
            fmt::format("{:.1f}", double(run.recipe.train.batch) / std::max(cost.step_seconds, 1e-12)),
            mib(cost.peak_bytes), fmt::format("{:.0f}", cost.backward_nodes), thousands(cost.trainable),
            duration(cost.wall_seconds),
            fmt::format("{:.1f} %", 100 * cost.data_wait / std::max(cost.wall_seconds, 1e-12))})
        row.push_back(std::move(cell));
      table.rows.push_back(std::move(row));
    }
  return table;
}

void write_run_report(const std::string& folder) {
  const RunRecord run = read_run(folder);
  const Recipe& r = run.recipe;
  Report report(run.name, fmt::format("{} on {}, {} schedule, batch {}, seed {}", r.model.kind, r.data.kind,
                                      r.schedule.kind, r.train.batch, r.seed));
  double seconds = 0, peak = 0;
  for (const StageCost& cost : run.stages)
    seconds += cost.wall_seconds, peak = std::max(peak, cost.peak_bytes);
  std::vector<Fact> figures = {{"step", fmt::format("{} of {}", run.step, std::max(run.step, r.train.steps))},
                               {"time", duration(seconds)}};
  if (!run.stages.empty()) {
    figures.insert(figures.begin() + 1, {"stage", std::to_string(run.stages.back().stage)});
    figures.push_back(
        {"images/s",
         fmt::format("{:.1f}", double(r.train.batch) / std::max(run.stages.back().step_seconds, 1e-12))});
    figures.push_back({"peak memory", mib(peak)});
  }
  for (const Series& series : run.metrics)
    if (series.name == "loss_rec") figures.push_back({"loss_rec", fmt::format("{:.4g}", series.y.back())});
  report.figures(figures);

  report.section("Curves");
  if (const std::string line = warning(run); !line.empty()) report.text(line);
  report.curves(metric_charts({run}));
  report.table(glossary({run}));
  if (!run.films.empty()) {
    report.section("Pictures");
    report.pictures(run.films);
  }
  report.section("Schedule and cost");
  report.text(schedule_in_words(r));
  report.table(stage_table({run}));
  if (run.stages.size() == 2) report.text(saving(r, run.stages[0], run.stages[1]));
  std::vector<Chart> costs;
  for (const Series& series : run.timing) {
    const bool time = series.name == "step_seconds";
    if (!time && series.name != "peak_bytes") continue;
    Chart chart{time ? "step time, ms" : "peak memory, MiB", {series}, marks_of(run.stages), time};
    chart.from_zero = true;
    chart.series[0].name = run.name;
    for (double& v : chart.series[0].y) v *= time ? 1e3 : 1 / kMiB;
    costs.push_back(std::move(chart));
  }
  report.curves(costs);
  report.section("Configuration");
  report.code(to_toml(r));
  const std::vector<Fact> data = manifest_facts(folder + "/manifest.json");
  if (!data.empty()) {
    report.section("Data");
    report.facts(data);
  }
  const Table environment = environment_table(folder + "/environment.jsonl");
  if (!environment.rows.empty()) {
    report.section("Environment");
    report.table(environment);
  }
  report.write(folder + "/report.html");
}

}  // namespace dae
