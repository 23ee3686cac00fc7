#include "train/io/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

namespace dae {

namespace {

template <class T>
Tensor integers(const TensorEntry& entry, const Shape& shape) {
  Tensor out(shape, Dtype::i64);
  int64_t* to = out.data<int64_t>();
  for (size_t i = 0; i < entry.size / sizeof(T); ++i) {
    T value;
    std::memcpy(&value, static_cast<const char*>(entry.bytes) + i * sizeof(T), sizeof(T));
    to[i] = int64_t(value);
  }
  return out;
}

Tensor read(const TensorEntry& entry, const Shape& shape) {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64, Dtype::bf16, Dtype::f16, Dtype::i64})
    if (entry.dtype == file_name(dtype)) {
      Tensor t(shape, dtype);
      if (entry.size) std::memcpy(t.raw(), entry.bytes, entry.size);
      return t;
    }
  if (entry.dtype == "I32") return integers<int32_t>(entry, shape);
  if (entry.dtype == "U32") return integers<uint32_t>(entry, shape);
  if (entry.dtype == "I16") return integers<int16_t>(entry, shape);
  if (entry.dtype == "U16") return integers<uint16_t>(entry, shape);
  if (entry.dtype == "I8") return integers<int8_t>(entry, shape);
  if (entry.dtype == "U64") return integers<uint64_t>(entry, shape);
  return integers<uint8_t>(entry, shape);  // U8 and BOOL
}

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("({})", fmt::join(shape, ", "));
}

bool same(const std::vector<int64_t>& a, const Shape& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

std::string first_of(const std::vector<std::string>& names) {
  constexpr size_t kShown = 3;
  const auto end = names.begin() + ptrdiff_t(std::min(kShown, names.size()));
  return fmt::format("{}{}", fmt::join(names.begin(), end, "; "), names.size() > kShown ? "; ..." : "");
}

}  // namespace

Tensor tensor_of(const std::string& path, const TensorEntry& entry) {
  Shape shape;
  if (entry.shape.size() > size_t(Shape::kMaxRank))
    fail(Fault::data, "{}: {}: expected at most {} dimensions, found {}", path, entry.name, Shape::kMaxRank,
         entry.shape.size());
  for (const int64_t d : entry.shape) shape.push_back(d);
  return read(entry, shape);
}

std::vector<double> values_of(const TensorEntry& entry) {
  return read(entry, {int64_t(entry.size) / element_size(entry.dtype)}).values();
}

std::vector<TensorEntry> weight_entries(const TensorFile& file, const std::vector<std::string>& prefixes,
                                        const std::vector<std::string>& only) {
  const std::string nested = "state_dict.", optimizer = "optimizer.";
  const auto& all = file.entries();
  const bool lightning =
      std::any_of(all.begin(), all.end(), [&](const TensorEntry& e) { return e.name.starts_with(nested); });
  const bool run = std::any_of(all.begin(), all.end(), [](const TensorEntry& e) {
    return e.name.starts_with("optimizer.") && e.name.find(".m.") != std::string::npos;
  });
  std::vector<TensorEntry> out;
  for (TensorEntry e : all) {
    if (lightning ? !e.name.starts_with(nested) : run && e.name.starts_with(optimizer)) continue;
    if (lightning) e.name = e.name.substr(nested.size());
    out.push_back(std::move(e));
  }
  for (const std::string& part : only)
    if (std::none_of(out.begin(), out.end(), [&](const auto& e) { return e.name.starts_with(part); }))
      fail(Fault::usage, "--only {}: expected a part of {} whose names begin so, found none", part,
           file.path());
  if (!only.empty())
    std::erase_if(out, [&](const TensorEntry& e) {
      return std::none_of(only.begin(), only.end(),
                          [&](const auto& part) { return e.name.starts_with(part); });
    });
  std::vector<std::pair<std::string, std::string>> renames;
  std::vector<bool> used;
  for (const std::string& prefix : prefixes) {
    const size_t at = prefix.find('=');
    if (at == std::string::npos) fail(Fault::usage, "--prefix: expected old=new, found {}", prefix);
    std::string from = prefix.substr(0, at);
    // The prefix is already removed from the names.
    if (lightning && from.starts_with(nested)) from = from.substr(nested.size());
    renames.push_back({from, prefix.substr(at + 1)});
    used.push_back(from.empty());
  }
  std::set<std::string> names;
  for (TensorEntry& e : out) {
    for (size_t i = 0; i < renames.size(); ++i)
      if (e.name.starts_with(renames[i].first)) {
        e.name = renames[i].second + e.name.substr(renames[i].first.size());
        used[i] = true;
        break;
      }
    if (!names.insert(e.name).second)
      fail(Fault::data, "{}: expected names that stay apart under --prefix, found {} twice", file.path(),
           e.name);
  }
  for (size_t i = 0; i < used.size(); ++i)
    if (!used[i])
      fail(Fault::usage, "--prefix: {}: expected a tensor whose name begins with \"{}\", found none",
           file.path(), renames[i].first);
  return out;
}

Fit fit(const std::vector<TensorEntry>& entries, const std::vector<const Param*>& state) {
  std::map<std::string, const Param*> wanted;
  for (const Param* p : state) wanted[p->name] = p;
  Fit out;
  for (const TensorEntry& e : entries) {
    const auto found = wanted.find(e.name);
    if (found == wanted.end()) {
      out.unexpected.push_back(e.name + " " + shape_text(e.shape));
      continue;
    }
    if (const Shape expected = found->second->file_shape(); !same(e.shape, expected))
      out.misshaped.push_back(
          fmt::format("{}: expected shape {}, found {}", e.name, expected.str(), shape_text(e.shape)));
    wanted.erase(found);
  }
  for (const Param* p : state)
    if (wanted.contains(p->name) && !p->counter) out.missing.push_back(p->name + " " + p->file_shape().str());
  return out;
}

void fill(const std::string& path, const std::vector<TensorEntry>& entries,
          const std::vector<Param*>& state) {
  const Fit found = fit(entries, {state.begin(), state.end()});
  if (!found.good()) {
    std::vector<std::string> parts;
    const auto add = [&](const char* what, const std::vector<std::string>& names) {
      if (!names.empty()) parts.push_back(fmt::format("{} {}: {}", names.size(), what, first_of(names)));
    };
    add("misshaped", found.misshaped), add("unexpected", found.unexpected), add("missing", found.missing);
    fail(Fault::data,
         "weights: {}: expected the names and shapes of this model, found {}; is it of another model, "
         "width or stage?",
         path, fmt::join(parts, ", "));
  }
  std::map<std::string, Param*> wanted;
  for (Param* p : state) wanted[p->name] = p;
  for (const TensorEntry& e : entries) wanted.at(e.name)->from_file(tensor_of(path, e));
}

}  // namespace dae
