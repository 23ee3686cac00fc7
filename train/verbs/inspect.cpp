// `dae inspect` prints what a file of tensors holds; `dae inspect compare` compares two such files.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "data/files/file.h"
#include "train/io/weights.h"
#include "train/run/checkpoint.h"
#include "train/verbs/verbs.h"

namespace dae {

namespace {

using Json = nlohmann::ordered_json;

struct Statistics {
  double least = 0, most = 0, mean = 0, deviation = 0;
  int64_t not_finite = 0;
};
// Returns the statistics of the finite values.
Statistics statistics(const std::vector<double>& values) {
  Statistics out;
  double sum = 0, squares = 0;
  int64_t count = 0;
  for (const double v : values) {
    if (!std::isfinite(v)) {
      ++out.not_finite;
      continue;
    }
    out.least = count ? std::min(out.least, v) : v, out.most = count ? std::max(out.most, v) : v;
    sum += v, ++count;
  }
  if (count == 0) return out;
  out.mean = sum / double(count);
  for (const double v : values)
    if (std::isfinite(v)) squares += (v - out.mean) * (v - out.mean);
  out.deviation = std::sqrt(squares / double(count));
  return out;
}

// JSON has no infinities, and text in files may be invalid UTF-8.
Json number(double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); }
std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }
std::string shape_text(const TensorEntry& e) { return fmt::format("({})", fmt::join(e.shape, ", ")); }
std::string printable(std::string text) {
  for (char& c : text)
    if (uint8_t(c) < 32 || c == 127) c = ' ';
  return text;
}
size_t widest(const std::vector<TensorEntry>& entries) {
  size_t width = 4;
  for (const TensorEntry& e : entries) width = std::max(width, e.name.size());
  return width;
}

}  // namespace

int inspect_file(const InspectArguments& arguments, const Options& options) {
  const TensorFile file(weights_file(arguments.file));
  Json tensors = Json::array();
  const size_t width = widest(file.entries());
  size_t bytes = 0;
  if (!options.json)
    fmt::print("{:<{}}  {:<5} {:<20} {:>11} {:>11} {:>11} {:>11}  {}\n", "name", width, "dtype", "shape",
               "min", "max", "mean", "std", "crc32");
  for (const TensorEntry& e : file.entries()) {
    const Statistics s = statistics(values_of(e));
    const std::string crc = fmt::format("{:08x}", crc_of({static_cast<const char*>(e.bytes), e.size}));
    bytes += e.size;
    if (options.json)
      tensors.push_back({{"name", e.name},
                         {"dtype", e.dtype},
                         {"shape", e.shape},
                         {"min", s.least},
                         {"max", s.most},
                         {"mean", s.mean},
                         {"std", s.deviation},
                         {"not_finite", s.not_finite},
                         {"crc32", crc}});
    else
      fmt::print("{:<{}}  {:<5} {:<20} {:>11.4g} {:>11.4g} {:>11.4g} {:>11.4g}  {}{}\n", printable(e.name),
                 width, e.dtype, shape_text(e), s.least, s.most, s.mean, s.deviation, crc,
                 s.not_finite ? fmt::format("  {} not finite", s.not_finite) : "");
  }
  if (options.json) {
    Json values = Json::object();
    for (const auto& [name, text] : file.values()) values[name] = text;
    fmt::print("{}\n", dump({{"file", file.path()},
                             {"format", file.format()},
                             {"bytes", bytes},
                             {"tensors", tensors},
                             {"values", values}}));
    return 0;
  }
  for (const auto& [name, text] : file.values()) {
    const bool longer = text.size() > 60 || text.find('\n') != std::string::npos;
    fmt::print("{} = {}{}\n", printable(name),
               printable(text.substr(0, std::min<size_t>(60, text.find('\n')))), longer ? " ..." : "");
  }
  fmt::print("{}: {}, {} tensors, {} bytes\n", file.path(), file.format(), file.entries().size(), bytes);
  return 0;
}

int inspect_compare(const InspectArguments& arguments, const Options& options) {
  const TensorFile a(weights_file(arguments.file)), b(weights_file(arguments.other));
  Json rows = Json::array(), only_a = Json::array(), only_b = Json::array();
  const size_t width = std::max(widest(a.entries()), widest(b.entries()));
  double worst = 0;
  bool good = true;
  if (!options.json) fmt::print("{:<{}}  {:>11} {:>11}\n", "name", width, "max |a-b|", "|a-b|/|b|");
  std::set<std::string> names;
  for (const TensorEntry& x : a.entries()) {
    names.insert(x.name);
    const TensorEntry* y = b.find(x.name);
    if (!y) {
      only_a.push_back(x.name);
      continue;
    }
    const std::string name = printable(x.name);
    if (x.shape != y->shape) {
      good = false;
      if (options.json) rows.push_back({{"name", x.name}, {"shapes", {x.shape, y->shape}}, {"good", false}});
      else fmt::print("{:<{}}  shapes {} and {}\n", name, width, shape_text(x), shape_text(*y));
      continue;
    }
    const std::vector<double> u = values_of(x), v = values_of(*y);
    double largest = 0, difference = 0, norm = 0;
    for (size_t i = 0; i < u.size(); ++i) {
      if (u[i] == v[i] || (std::isnan(u[i]) && std::isnan(v[i]))) {
        if (std::isfinite(v[i])) norm += v[i] * v[i];
        continue;
      }
      const double d = std::abs(u[i] - v[i]);
      largest = std::isnan(d) ? INFINITY : std::max(largest, d);
      difference += d * d, norm += v[i] * v[i];
    }
    double relative = difference == 0 ? 0 : std::sqrt(difference / norm);  // infinite where b is zero
    if (std::isnan(relative)) relative = INFINITY;
    const bool within = relative <= arguments.tolerance;
    good = good && within, worst = std::max(worst, relative);
    if (options.json)
      rows.push_back(
          {{"name", x.name}, {"max_abs", number(largest)}, {"relative", number(relative)}, {"good", within}});
    else
      fmt::print("{:<{}}  {:>11.4g} {:>11.4g}{}\n", name, width, largest, relative, within ? "" : "  over");
  }
  for (const TensorEntry& y : b.entries())
    if (!names.contains(y.name)) only_b.push_back(y.name);
  good = good && only_a.empty() && only_b.empty();
  if (options.json) {
    fmt::print("{}\n", dump({{"a", a.path()},
                             {"b", b.path()},
                             {"tolerance", arguments.tolerance},
                             {"worst", number(worst)},
                             {"good", good},
                             {"tensors", rows},
                             {"only_in_a", only_a},
                             {"only_in_b", only_b}}));
  } else {
    for (const Json& name : only_a)
      fmt::print("only in {}: {}\n", a.path(), printable(name.get<std::string>()));
    for (const Json& name : only_b)
      fmt::print("only in {}: {}\n", b.path(), printable(name.get<std::string>()));
    fmt::print("{} the tolerance {:g}: largest relative error {:.4g}{}\n", good ? "within" : "not within",
               arguments.tolerance, worst, only_a.empty() && only_b.empty() ? "" : ", and names differ");
  }
  return good ? 0 : 1;
}

}  // namespace dae
