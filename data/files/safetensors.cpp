#include "data/files/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "data/files/file.h"
#include "kernels/device/error.h"

namespace dae {

namespace {

constexpr uint64_t kLargestHeader = 100 << 20;
constexpr int kDeepest = 3;  // levels of JSON: the header, a tensor, its lists

// Parses the header. Refuses a name that occurs twice, of which the JSON library would silently keep the
// last.
nlohmann::json parse_header(const std::string& path, const char* begin, const char* end) {
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (depth > kDeepest)
      fail(Fault::data, "{}: expected a JSON header {} levels deep, found a deeper one", path, kDeepest);
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key) {
      const std::string key = value.get<std::string>();
      if (!keys.back().insert(key).second) twice = key;
    }
    return true;
  };
  const nlohmann::json header = nlohmann::json::parse(begin, end, watch, false);
  if (header.is_discarded() || !header.is_object())
    fail(Fault::data, "{}: expected a JSON header, found something else", path);
  if (!twice.empty()) fail(Fault::data, "{}: the name {} stands twice in the header", path, twice);
  return header;
}

}  // namespace

Safetensors::Safetensors(const std::string& path) : Safetensors(path, read_file(path)) {}

Safetensors::Safetensors(std::string named, std::string content)
    : path_(std::move(named)), content_(std::move(content)) {
  const std::string& path = path_;
  uint64_t length = 0;
  if (content_.size() < 8)
    fail(Fault::data, "{}: expected a safetensors file, found {} bytes", path, content_.size());
  std::memcpy(&length, content_.data(), 8);
  if (length > kLargestHeader || length > content_.size() - 8)
    fail(Fault::data, "{}: its header claims {} bytes, the file has {}; it is truncated or not safetensors",
         path, length, content_.size());
  const char* begin = content_.data() + 8;
  const nlohmann::json header = parse_header(path, begin, begin + length);
  const uint64_t space = content_.size() - 8 - length;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) fail(Fault::data, "{}: __metadata__: expected an object of strings", path);
      for (const auto& [key, text] : value.items()) {
        if (!text.is_string()) fail(Fault::data, "{}: __metadata__.{}: expected a string", path, key);
        metadata_[key] = text.get<std::string>();
      }
      continue;
    }
    const auto unsigned_list = [](const nlohmann::json& list) {
      return list.is_array() &&
             std::all_of(list.begin(), list.end(), [](const auto& e) { return e.is_number_unsigned(); });
    };
    if (!value.is_object() || !value.contains("dtype") || !value["dtype"].is_string() ||
        !value.contains("shape") || !unsigned_list(value["shape"]) || !value.contains("data_offsets") ||
        !unsigned_list(value["data_offsets"]) || value["data_offsets"].size() != 2)
      fail(Fault::data, "{}: {}: expected dtype, shape and two data_offsets", path, name);
    const std::string dtype = value["dtype"];
    const int64_t width = element_size(dtype);
    if (!width) fail(Fault::data, "{}: {}: unknown dtype {}", path, name, dtype);
    const uint64_t from = value["data_offsets"][0], to = value["data_offsets"][1];
    if (from > to || to > space)
      fail(Fault::data, "{}: {}: offsets [{}, {}) lie outside the {} bytes of data", path, name, from, to,
           space);
    TensorEntry entry{name, dtype, {}, begin + length + from, size_t(to - from)};
    for (const auto& d : value["shape"]) entry.shape.push_back(d.get<int64_t>());
    const int64_t bytes = byte_size(width, entry.shape);
    if (bytes < 0) fail(Fault::data, "{}: {}: its shape is too large", path, name);
    if (uint64_t(bytes) != to - from)
      fail(Fault::data, "{}: {}: {} of its shape needs {} bytes, its offsets give {}", path, name, dtype,
           bytes, to - from);
    entries_.push_back(std::move(entry));
  }
  std::stable_sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return std::pair(a.bytes, a.size) < std::pair(b.bytes, b.size);
  });
  const char* at = begin + length;  // the tensors must fill the data without gaps or overlaps
  for (const TensorEntry& e : entries_) {
    if (static_cast<const char*>(e.bytes) != at)
      fail(Fault::data, "{}: {}: its bytes overlap or leave a gap", path, e.name);
    at += e.size;
  }
  if (at != content_.data() + content_.size()) fail(Fault::data, "{}: bytes after the last tensor", path);
}

const TensorEntry* Safetensors::find(const std::string& name) const {
  for (const TensorEntry& e : entries_)
    if (e.name == name) return &e;
  return nullptr;
}

void save_safetensors(const std::string& path, const std::vector<TensorEntry>& entries,
                      const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t at = 0;
  for (const TensorEntry& e : entries) {
    header[e.name] = {{"dtype", e.dtype}, {"shape", e.shape}, {"data_offsets", {at, at + e.size}}};
    at += e.size;
  }
  std::string text;
  try {
    text = entries.empty() && metadata.empty() ? "{}" : header.dump();
  } catch (const nlohmann::json::exception&) {
    fail(Fault::data, "{}: expected names in UTF-8, found one that is not", path);
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  write_file(path, [&](const auto& write) {
    write(&length, 8);
    write(text.data(), text.size());
    for (const TensorEntry& e : entries) write(e.bytes, e.size);
  });
}

}  // namespace dae
