#include "train/evaluation/statistics_file.h"

#include <fmt/format.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/files/npz.h"
#include "train/evaluation/networks.h"

namespace dae {

namespace {

std::vector<double> values_of(const std::string& path, const TensorEntry& array, std::vector<int64_t> shape) {
  if ((array.dtype != "F64" && array.dtype != "F32") || array.shape != shape)
    fail(Fault::data, "{}: {}: expected floats ({}), found {} ({}); is it of another layer?", path,
         array.name, fmt::join(shape, ", "), array.dtype, fmt::join(array.shape, ", "));
  std::vector<double> out(array.size / size_t(element_size(array.dtype)));
  if (array.dtype == "F64") std::memcpy(out.data(), array.bytes, array.size);
  else
    for (size_t i = 0; i < out.size(); ++i) {
      float v;
      std::memcpy(&v, static_cast<const char*>(array.bytes) + i * sizeof v, sizeof v);
      out[i] = double(v);
    }
  return out;
}

bool begins_as_zip(const std::string& path) {
  char start[4] = {};
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) &&
         std::ifstream(path, std::ios::binary).read(start, 4) && is_zip({start, 4});
}

}  // namespace

std::optional<SavedStatistics> read_statistics(const std::string& path, InceptionLayer layer) {
  if (!begins_as_zip(path)) return {};
  const Npz file(path);
  const std::string kind = layer == InceptionLayer::spatial ? "_s" : "";
  const TensorEntry *mu = file.find("mu" + kind), *sigma = file.find("sigma" + kind);
  if (!mu || !sigma) {
    if (!file.find("mu") && !file.find("mu_s")) return {};
    fail(Fault::data, "{}: expected mu{} and sigma{} for layer {}, found statistics of other features only",
         path, kind, kind, name(layer));
  }
  const int64_t d = kInceptionWidths[size_t(layer)];
  SavedStatistics out;
  out.statistics.mean = values_of(path, *mu, {d});
  out.statistics.covariance = values_of(path, *sigma, {d, d});
  const TensorEntry* entry = file.find("provenance");
  if (!entry) return out;
  const auto* text = static_cast<const char*>(entry->bytes);
  const nlohmann::json json = nlohmann::json::parse(text, text + entry->size, nullptr, false);
  try {
    out.protocol = json.at("protocol"), out.weights = json.at("weights");
    out.statistics.count = json.at("count");
    if (const std::string of = json.at("layer"); kind.empty() && of != name(layer))
      fail(Fault::usage, "{}: expected statistics of layer {}, found {}; see --layer", path, name(layer), of);
  } catch (const nlohmann::json::exception&) {
    fail(Fault::data,
         "{}: provenance: expected JSON with protocol, layer, weights and count, found something else", path);
  }
  return out;
}

void save_statistics(const std::string& path, const Statistics* pooled, InceptionLayer layer,
                     const Statistics* spatial, const std::string& protocol, const std::string& weights) {
  std::vector<TensorEntry> entries;
  const auto add = [&](const Statistics& s, const std::string& kind) {
    const int64_t d = s.width();
    entries.push_back({"mu" + kind, "F64", {d}, s.mean.data(), s.mean.size() * 8});
    entries.push_back({"sigma" + kind, "F64", {d, d}, s.covariance.data(), s.covariance.size() * 8});
  };
  if (pooled) add(*pooled, "");
  if (spatial) add(*spatial, "_s");
  const std::string text = nlohmann::ordered_json{{"protocol", protocol},
                                                  {"layer", name(layer)},
                                                  {"weights", weights},
                                                  {"count", (pooled ? pooled : spatial)->count}}
                               .dump();
  entries.push_back({"provenance", "U8", {int64_t(text.size())}, text.data(), text.size()});
  save_npz(path, entries);
}

}  // namespace dae
