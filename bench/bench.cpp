// The verb `dae bench`: measures the ceilings of the machine, then the rows, and prints a table. It also
// compares two of its JSON files.
#include "bench/bench.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>

#include "data/files/file.h"
#include "engine/graph.h"
#include "kernels/cpu/parallel.h"
#include "kernels/device/error.h"
#include "train/machine/environment.h"
#include "train/recipe/words.h"
#include "train/verbs/verbs.h"

namespace dae {

namespace bench {
namespace {

using nlohmann::ordered_json;

// The least time that the machine needs for a row, and what limits it.
struct Roof {
  double seconds;
  const char* binds;
};
Roof roof(const Row& row, const Ceiling& ceiling) {
  const double most = row.dtype == Dtype::f32 ? ceiling.flops : ceiling.flops16;
  const double compute = row.flops / most, memory = row.bytes / ceiling.bytes;
  return compute >= memory ? Roof{compute, "compute"} : Roof{memory, "memory"};
}

// Times one run on a GPU. A graph holds runs over all sets of inputs, so that a run finds its set in memory
// and not in the cache.
Timing time_on_gpu(const Row& row, double seconds) {
  const auto run = row.prepare();
  run(0), run(1);  // the first calls choose variants and allocate memory
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
  const int threads = thread_count();
  if (row.threads) set_thread_count(row.threads);
  const Timing t = time_runs(run, seconds);
  set_thread_count(threads);
  return t;
}

// While one lives, processes keep a processor busy each, like the work of other users.
class BusyLoops {
 public:
  explicit BusyLoops(int count) {
    for (int i = 0; i < count; ++i) {
      const pid_t child = fork();
      if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (std::atomic<uint64_t> turns = 0;; turns.fetch_add(1, std::memory_order_relaxed)) {}
      }
      if (child > 0) children_.push_back(child);
    }
    if (int(children_.size()) < count) fail(Fault::internal, "bench: {} processes cannot be started", count);
  }
  ~BusyLoops() {
    for (const pid_t child : children_) kill(child, SIGKILL), waitpid(child, nullptr, 0);
  }
  BusyLoops(const BusyLoops&) = delete;

 private:
  std::vector<pid_t> children_;
};

ordered_json measure(const Row& row, int threads, double seconds) {
  const BusyLoops others(row.busy);
  const Timing t = row.device == Device::cpu ? time_on_cpu(row, seconds) : time_on_gpu(row, seconds);
  return {{"op", row.op},
          {"shape", row.shape},
          {"variant", row.variant},
          {"device", name(row.device)},
          {"dtype", name(row.dtype)},
          {"threads", threads},
          {"seconds", t.median},
          {"low", t.low},
          {"high", t.high},
          {"runs", t.runs},
          {"flops", row.flops},
          {"bytes", row.bytes},
          {"intensity", row.bytes > 0 ? row.flops / row.bytes : 0}};
}
// Adds a row's share of its roof. It is null where there is no ceiling, or where it is more than the
// arithmetic allows: then the ceiling was measured while the machine had other work.
void add_share(ordered_json& result, const Row& row, const Ceiling& ceiling) {
  const Roof r = roof(row, ceiling);
  const double share = r.seconds / result["seconds"].get<double>();
  const double most = r.seconds > row.bytes / ceiling.bytes ? row.fewer : 1;
  const bool emulated = row.device == Device::cuda && kCuda == CudaBuild::emulated;  // no real ceiling
  const bool possible = share > 0 && (share <= 1.05 * most || emulated);
  result["roof_percent"] = possible ? ordered_json(100 * share) : ordered_json();
  result["roof"] = r.binds;
}

// The ceilings of the machine: the best of several measurements, since a measurement can only be too low.
struct Ceilings {
  Ceiling one, all;
};
Ceilings measure_ceilings(bool gpu, int threads) {
  if (gpu) {
    const Ceiling all = measure_gpu_ceiling();
    return {all, all};
  }
  const Ceiling one = measure_ceiling(1);
  return {one, threads == 1 ? one : measure_ceiling(threads)};
}
Ceiling better(const Ceiling& a, const Ceiling& b) {
  return {a.threads, std::max(a.flops, b.flops), std::max(a.flops16, b.flops16), std::max(a.bytes, b.bytes)};
}
Ceilings better(const Ceilings& a, const Ceilings& b) { return {better(a.one, b.one), better(a.all, b.all)}; }
// Returns the largest relative difference between the figures of a and b.
double disagreement(const Ceilings& a, const Ceilings& b) {
  double most = 0;
  const auto compare = [&](double x, double y) {
    if (x > 0 && y > 0) most = std::max(most, 1 - std::min(x, y) / std::max(x, y));
  };
  compare(a.one.flops, b.one.flops), compare(a.one.bytes, b.one.bytes);
  compare(a.all.flops, b.all.flops), compare(a.all.bytes, b.all.bytes);
  compare(a.all.flops16, b.all.flops16);
  return most;
}

std::string gpu_title() {
  if constexpr (kHasCuda) return gpu_name();
  return "";
}

std::string rate(double work, double seconds) {
  return work > 0 ? fmt::format("{:.1f}", work / seconds / 1e9) : "-";
}

std::string describe(const Ceilings& best, bool gpu) {
  if (!gpu) {
    std::string text = cpu_name();
    for (const Ceiling& c : {best.one, best.all})
      text += fmt::format("; {} thread{}: {:.1f} GFLOP/s f32, {:.1f} GB/s", c.threads,
                          c.threads == 1 ? "" : "s", c.flops / 1e9, c.bytes / 1e9);
    return text;
  }
  std::string text =
      fmt::format("{}; the fastest matmul: {:.1f} TFLOP/s f32, {:.1f} TFLOP/s bf16; copy {:.1f} GB/s",
                  gpu_title(), best.all.flops / 1e12, best.all.flops16 / 1e12, best.all.bytes / 1e9);
  if constexpr (kCuda == CudaBuild::emulated)
    text += "\nThe emulated device, at sizes cut down: these times say nothing about a GPU.";
  return text;
}

// Formats lines of cells as padded text or as rows of a Markdown table.
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
  // Sizes are reduced for the emulated device, so two rows can become equal.
  std::set<std::string> seen;
  std::erase_if(rows, [&](const Row& row) { return !seen.insert(row.name() + " " + row.variant).second; });
  std::erase_if(rows,
                [&](const Row& row) { return !std::regex_search(row.name() + " " + row.variant, filter); });
  if (rows.empty())
    fail(Fault::usage,
         "--filter: expected a part of a row's name, found \"{}\", which no row has; dae bench --list has "
         "them",
         arguments.filter);
  if (arguments.list) {
    ordered_json names = ordered_json::array();
    for (const Row& row : rows)
      if (options.json) names.push_back({{"op", row.op}, {"shape", row.shape}, {"variant", row.variant}});
      else fmt::print("{} {}\n", row.name(), row.variant);
    if (options.json) fmt::print("{}\n", ordered_json{{"rows", names}}.dump(1));
    return 0;
  }

  const int threads = thread_count();
  const auto measure_again = [&] { return measure_ceilings(gpu, threads); };
  const Ceilings before = better(measure_again(), measure_again());
  std::vector<ordered_json> measured;
  ordered_json made;
  for (const auto& [name, value] : environment(options.device)) made[name] = value;
  made["date"] = utc_now();
  const auto result_of = [&](const Ceilings& best) {
    ordered_json machine = {{"cpu", cpu_name()}, {"threads", threads}};
    if (gpu) {
      machine["gpu"] = gpu_title();
      machine["flops_f32"] = best.all.flops, machine["flops_16"] = best.all.flops16;
    } else {
      machine["flops_one"] = best.one.flops, machine["flops_all"] = best.all.flops;
      machine["bytes_one"] = best.one.bytes;
    }
    machine["bytes_all"] = best.all.bytes;
    for (size_t i = 0; i < measured.size(); ++i)
      add_share(measured[i], rows[i], rows[i].threads == 1 ? best.one : best.all);
    return ordered_json{{"machine", machine}, {"environment", made}, {"rows", measured}};
  };
  for (const Row& row : rows) {
    measured.push_back(measure(row, row.threads == 1 ? 1 : threads, arguments.seconds));
    if (!options.quiet)
      fmt::print(stderr, "{} {}: {}\n", row.name(), row.variant, duration(measured.back()["seconds"]));
    // Saves after every row, so that nothing is lost if the program is ended.
    if (!arguments.save.empty()) write_file(arguments.save, result_of(before).dump(1) + "\n");
  }
  const Ceilings after = better(measure_again(), measure_again()), best = better(before, after);
  const ordered_json result = result_of(best);
  if (!arguments.save.empty()) write_file(arguments.save, result.dump(1) + "\n");
  const double apart = disagreement(before, after);
  if (apart > 0.1)
    fmt::print(
        stderr,
        "dae bench: the ceilings before and after the rows differ by {:.0f} %, so the machine had other "
        "work; shares are of the larger ones\n",
        100 * apart);
  if (options.json) {
    fmt::print("{}\n", result.dump(1));
    return 0;
  }
  fmt::print("{}\n\n", describe(best, gpu));
  const Table table(arguments.markdown, {{"op", -26},
                                         {"shape", -38},
                                         {"variant", -12},
                                         {"median", 10},
                                         {"quartiles", 21},
                                         {"GFLOP/s", 8},
                                         {"GB/s", 7},
                                         {"FLOP/B", 7},
                                         {"% of roof", 9},
                                         {"roof", -7}});
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    const ordered_json& m = result["rows"][i];
    const double seconds = m["seconds"];
    table.line({row.op, row.shape, row.variant, duration(seconds),
                duration(m["low"]) + " - " + duration(m["high"]), rate(row.flops, seconds),
                rate(row.bytes, seconds), row.bytes > 0 ? fmt::format("{:.1f}", row.flops / row.bytes) : "-",
                m["roof_percent"].is_null() ? "-" : fmt::format("{:.1f}", m["roof_percent"].get<double>()),
                m["roof"]});
  }
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
      // The times count as equal if their quartiles overlap.
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

}  // namespace dae
