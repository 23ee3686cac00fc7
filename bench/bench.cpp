// The verb `dae bench`: measures the ceilings, then the rows, and prints; and compares two of its JSON files.
#include "bench/bench.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>

#include "data/file.h"
#include "engine/graph.h"
#include "kernels/error.h"
#include "train/verbs.h"

namespace bench {
namespace {

using nlohmann::ordered_json;

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(": ") + 2);
  return "unknown";
}

// The least time that the machine needs for a row, and what binds it.
struct Roof {
  double seconds;
  const char* binds;
};
Roof roof(const Row& row, const Ceiling& ceiling) {
  const double most = row.dtype == Dtype::f32 ? ceiling.flops : ceiling.flops16;
  const double compute = row.flops / most, memory = row.bytes / ceiling.bytes;
  return compute >= memory ? Roof{compute, "compute"} : Roof{memory, "memory"};
}

// Seconds of one run on a GPU. As a graph of all sets of inputs, so that each run finds its own in memory.
Timing time_on_gpu(const Row& row, double seconds) {
  const auto run = row.prepare();
  run(0), run(1);  // what is chosen or allocated at the first call
  if (row.captured == 0) return time_gpu(run, seconds);
  Graph graph;
  graph.record([&] {
    for (int64_t i = 0; i < row.captured; ++i) run(i);
  });
  Timing t = time_gpu([&](int64_t) { graph.launch(); }, seconds);
  for (double* value : {&t.median, &t.low, &t.high}) *value /= double(row.captured);
  return t;
}
Timing time_on_cpu(const Row& row, double seconds) {
  const auto run = row.prepare();
  const int threads = omp_get_max_threads();
  if (row.threads) omp_set_num_threads(row.threads);
  const Timing t = time_runs(run, seconds);
  omp_set_num_threads(threads);
  return t;
}

ordered_json measure(const Row& row, const Ceiling& ceiling, double seconds) {
  const Timing t = row.device == Device::cpu ? time_on_cpu(row, seconds) : time_on_gpu(row, seconds);
  const Roof r = roof(row, ceiling);
  return {{"op", row.op},
          {"shape", row.shape},
          {"variant", row.variant},
          {"device", name(row.device)},
          {"dtype", name(row.dtype)},
          {"threads", ceiling.threads},
          {"seconds", t.median},
          {"low", t.low},
          {"high", t.high},
          {"runs", t.runs},
          {"flops", row.flops},
          {"bytes", row.bytes},
          {"intensity", row.bytes > 0 ? row.flops / row.bytes : 0},
          {"roof_percent", 100 * r.seconds / t.median},
          {"roof", r.binds}};
}

std::string gpu_title() {
  if constexpr (kHasCuda) return gpu_name();
  return "";
}

std::string duration(double seconds) {
  return seconds < 1e-3 ? fmt::format("{:.1f} us", seconds * 1e6)
         : seconds < 1  ? fmt::format("{:.2f} ms", seconds * 1e3)
                        : fmt::format("{:.2f} s", seconds);
}
std::string rate(double work, double seconds) {
  return work > 0 ? fmt::format("{:.1f}", work / seconds / 1e9) : "-";
}

// One line of cells: padded text, or a row of a Markdown table.
class Table {
 public:
  Table(bool markdown, std::vector<std::pair<std::string, int>> columns)
      : markdown_(markdown), columns_(std::move(columns)) {
    std::vector<std::string> names;
    for (const auto& column : columns_) names.push_back(column.first);
    line(names);
    if (!markdown_) return;
    std::string rule = "|";
    for (const auto& column : columns_) rule += column.second < 0 ? "---|" : "--:|";
    fmt::print("{}\n", rule);
  }
  void line(const std::vector<std::string>& cells) const {
    std::string text = markdown_ ? "|" : "";
    for (size_t i = 0; i < cells.size(); ++i) {
      const int width = columns_[i].second;
      if (markdown_) text += " " + cells[i] + " |";
      else
        text +=
            width < 0 ? fmt::format("{:<{}}  ", cells[i], -width) : fmt::format("{:>{}}  ", cells[i], width);
    }
    fmt::print("{}\n", text);
    std::fflush(stdout);
  }

 private:
  bool markdown_;
  std::vector<std::pair<std::string, int>> columns_;  // name, width; negative: to the left
};

ordered_json load(const std::string& path) {
  const ordered_json j = ordered_json::parse(read_file(path, int64_t{1} << 28), nullptr, false);
  if (j.is_discarded() || !j.contains("rows") || !j["rows"].is_array())
    fail(Fault::data, "bench: {}: expected a file written by dae bench --json, found something else", path);
  return j;
}

}  // namespace
}  // namespace bench

int run_bench(const BenchArguments& arguments, const Options& options) {
  using namespace bench;
  std::regex filter;
  try {
    filter = std::regex(arguments.filter, std::regex::icase);
  } catch (const std::regex_error&) {
    fail(Fault::usage, "--filter: expected a regular expression, found \"{}\"", arguments.filter);
  }
  if (!arguments.save.empty()) prepare_output(arguments.save);
  std::vector<Row> rows;
  const auto append = [&](std::vector<Row> more) {
    rows.insert(rows.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  const bool gpu = options.device == Device::cuda;
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16, Dtype::f16}) {
    if (!gpu && dtype != Dtype::f32) continue;
    append(step_rows(options.device, dtype)), append(op_rows(options.device, dtype));
    if (gpu) append(kernel_rows(dtype));
  }
  // Sizes that were cut down for the emulated device may have become one.
  std::set<std::string> seen;
  std::erase_if(rows, [&](const Row& row) { return !seen.insert(row.name() + " " + row.variant).second; });
  std::erase_if(rows,
                [&](const Row& row) { return !std::regex_search(row.name() + " " + row.variant, filter); });
  if (rows.empty())
    fail(Fault::usage,
         "--filter: expected a part of a row's name, found \"{}\", which no row has; dae bench lists them",
         arguments.filter);

  const int threads = omp_get_max_threads();
  ordered_json machine = {{"cpu", cpu_model()}, {"threads", threads}};
  std::string ceilings = cpu_model();
  Ceiling one, all;
  if (gpu) {
    one = all = measure_gpu_ceiling();
    machine["gpu"] = gpu_title();
    machine["flops_f32"] = all.flops, machine["flops_16"] = all.flops16, machine["bytes_all"] = all.bytes;
    ceilings =
        fmt::format("{}; the fastest matmul: {:.1f} TFLOP/s f32, {:.1f} TFLOP/s bf16; copy {:.1f} GB/s",
                    gpu_title(), all.flops / 1e12, all.flops16 / 1e12, all.bytes / 1e9);
    if constexpr (kCuda == CudaBuild::emulated)
      ceilings += "\nThe emulated device, at sizes cut down: these times say nothing about a GPU.";
  } else {
    one = measure_ceiling(1), all = threads == 1 ? one : measure_ceiling(threads);
    machine["flops_one"] = one.flops, machine["flops_all"] = all.flops;
    machine["bytes_one"] = one.bytes, machine["bytes_all"] = all.bytes;
    for (const Ceiling& c : {one, all})
      ceilings += fmt::format("; {} thread{}: {:.1f} GFLOP/s f32, {:.1f} GB/s", c.threads,
                              c.threads == 1 ? "" : "s", c.flops / 1e9, c.bytes / 1e9);
  }
  ordered_json result = {{"machine", machine}, {"rows", ordered_json::array()}};
  std::optional<Table> table;
  if (!options.json) {
    fmt::print("{}\n\n", ceilings);
    table.emplace(arguments.markdown, std::vector<std::pair<std::string, int>>{{"op", -26},
                                                                               {"shape", -38},
                                                                               {"variant", -12},
                                                                               {"median", 10},
                                                                               {"quartiles", 21},
                                                                               {"GFLOP/s", 8},
                                                                               {"GB/s", 7},
                                                                               {"FLOP/B", 7},
                                                                               {"% of roof", 9},
                                                                               {"roof", -7}});
  }
  for (const Row& row : rows) {
    const ordered_json m = measure(row, row.threads == 1 ? one : all, arguments.seconds);
    const double seconds = m["seconds"];
    if (table)
      table->line({row.op, row.shape, row.variant, duration(seconds),
                   duration(m["low"]) + " - " + duration(m["high"]), rate(row.flops, seconds),
                   rate(row.bytes, seconds),
                   row.bytes > 0 ? fmt::format("{:.1f}", row.flops / row.bytes) : "-",
                   row.flops + row.bytes > 0 ? fmt::format("{:.1f}", m["roof_percent"].get<double>()) : "-",
                   m["roof"]});
    else if (!options.quiet) fmt::print(stderr, "{} {}: {}\n", row.name(), row.variant, duration(seconds));
    result["rows"].push_back(m);
  }
  if (options.json) fmt::print("{}\n", result.dump(1));
  if (!arguments.save.empty()) write_file(arguments.save, result.dump(1) + "\n");
  return 0;
}

int compare_bench(const BenchArguments& arguments, const Options& options) {
  using namespace bench;
  const ordered_json a = load(arguments.first), b = load(arguments.second);
  const auto key = [](const ordered_json& row) {
    return row.at("op").get<std::string>() + "\n" + row.at("shape").get<std::string>() + "\n" +
           row.value("variant", "");
  };
  std::map<std::string, ordered_json> before;
  ordered_json result = {{"rows", ordered_json::array()}};
  std::optional<Table> table;
  if (!options.json)
    table.emplace(
        arguments.markdown,
        std::vector<std::pair<std::string, int>>{
            {"op", -26}, {"shape", -38}, {"variant", -12}, {"A", 10}, {"B", 10}, {"A / B", 7}, {"", -12}});
  double logs = 0;
  int64_t matched = 0;
  try {
    for (const auto& row : a["rows"]) before[key(row)] = row;
    for (const auto& row : b["rows"]) {
      const auto found = before.find(key(row));
      if (found == before.end()) continue;
      const ordered_json& old = found->second;
      const double x = old.at("seconds"), y = row.at("seconds");
      // Within the spread: the quartiles of the two overlap.
      const bool same = old.at("low") <= row.at("high") && row.at("low") <= old.at("high");
      logs += std::log(x / y), ++matched;
      result["rows"].push_back({{"op", row["op"]},
                                {"shape", row["shape"]},
                                {"variant", row["variant"]},
                                {"a", x},
                                {"b", y},
                                {"ratio", x / y},
                                {"within_spread", same}});
      if (table)
        table->line({row["op"], row["shape"], row["variant"], duration(x), duration(y),
                     fmt::format("{:.2f}", x / y), same ? "within spread" : ""});
    }
  } catch (const nlohmann::json::exception&) {
    fail(Fault::data, "bench: {} or {}: expected rows with op, shape, seconds, low and high", arguments.first,
         arguments.second);
  }
  if (matched == 0)
    fail(Fault::data, "bench: {} and {}: expected rows in common, found none", arguments.first,
         arguments.second);
  result["geometric_mean"] = std::exp(logs / double(matched));
  if (options.json) fmt::print("{}\n", result.dump(1));
  else
    fmt::print("\n{} rows in both; geometric mean of A / B {:.3f}\n", matched,
               std::exp(logs / double(matched)));
  return 0;
}
