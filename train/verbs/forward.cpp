// `dae forward` runs a model's networks on the tensors of a file, so that they can be compared with another
// framework's.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/files/file.h"
#include "data/images/pixel.h"
#include "engine/ops.h"
#include "train/io/weights.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"
#include "train/verbs/verbs.h"

namespace dae {

namespace {

constexpr int64_t kChunk = 100;  // rows per call

// Returns a tensor in the form that the model takes: (N, H, W, C) from PyTorch's (N, C, H, W), or from bytes
// (N, H, W, C), which are scaled to [-1, 1].
Tensor from_file(const std::string& path, const TensorEntry& entry, const std::vector<int64_t>& example,
                 Dtype dtype) {
  Tensor t = tensor_of(path, entry);
  const bool bytes = entry.dtype == "U8";
  if (bytes) {
    std::vector<double> values = t.values();
    for (double& v : values) v = value_of_byte(uint8_t(v));
    t = Tensor::of(t.shape(), values, Dtype::f64).to(dtype);
  }
  if (!bytes && t.rank() == 4) t = permute(t.to(dtype), {0, 2, 3, 1});
  const Shape& found = t.shape();
  if (!(found.rank() == int(example.size()) + 1 && found[0] > 0 &&
        std::equal(example.begin(), example.end(), found.begin() + 1))) {
    std::vector<int64_t> want = example;
    if (!bytes && want.size() == 3) std::rotate(want.begin(), want.begin() + 2, want.end());
    fail(Fault::data, "{}: {}: expected shape (N, {}), found ({})", path, entry.name, fmt::join(want, ", "),
         fmt::join(entry.shape, ", "));
  }
  return t.to(dtype);
}

NamedTensors read_inputs(const std::string& path, const Learner& learner, const Recipe& recipe) {
  const TensorFile file(path);
  const auto known = learner.inputs();
  NamedTensors out;
  for (const TensorEntry& entry : file.entries()) {
    const bool images =
        entry.name == "images" || entry.name == "arr_0";  // the names in data sets and sample files
    const std::string name = images ? "x" : entry.name;
    const auto found =
        std::find_if(known.begin(), known.end(), [&](const auto& k) { return k.first == name; });
    if (found == known.end() || out.contains(name)) {
      std::vector<std::string> names;
      for (const auto& k : known) names.push_back(k.first);
      fail(Fault::data, "{}: expected each of {} at most once, found {}", path, fmt::join(names, ", "),
           entry.name);
    }
    out[name] = from_file(path, entry, found->second, dtype_from(recipe.dtype));
  }
  if (out.empty()) fail(Fault::data, "{}: expected an input of the model, found no tensor", path);
  return out;
}

NamedTensors run(Learner& learner, const NamedTensors& in, Device device) {
  std::map<std::string, std::vector<Tensor>> parts;
  // One input at a time, because the rows of two inputs need not belong together.
  for (const auto& [name, x] : in)
    for (int64_t begin = 0; begin < x.dim(0); begin += kChunk) {
      const Tensor rows = slice(x, 0, begin, std::min(x.dim(0), begin + kChunk)).to(device);
      for (const auto& [output, y] : learner.forward({{name, rows}}))
        parts[output].push_back(y.to(Device::cpu).to(wide(y.dtype())));
    }
  NamedTensors out;
  for (const auto& [name, rows] : parts) {
    const Tensor y = concat(rows, 0);
    out[name] = y.rank() == 4 ? permute(y, {0, 3, 1, 2}) : y;
  }
  return out;
}

}  // namespace

int forward(const ForwardArguments& arguments, const Options& options) {
  const bool npz = arguments.output.ends_with(".npz");
  if (!npz && !arguments.output.ends_with(".safetensors"))
    fail(Fault::usage, "--output: expected a name ending in .safetensors or .npz, found {}",
         arguments.output);
  const NoGrad off;
  const Recipe recipe = load_recipe(arguments.recipe, arguments.sets, options.device);
  const auto learner = make_learner(recipe, arguments.stage);
  load_weights(arguments.weights, learner->state());
  prepare_output(arguments.output);
  const NamedTensors outputs = run(*learner, read_inputs(arguments.input, *learner, recipe), recipe.device);

  std::vector<TensorEntry> entries;
  nlohmann::ordered_json shapes;
  for (const auto& [name, y] : outputs) {
    const std::vector<int64_t> shape(y.shape().begin(), y.shape().end());
    entries.push_back({name, file_name(y.dtype()), shape, y.raw(), size_t(y.bytes())});
    shapes[name] = shape;
  }
  if (npz) save_npz(arguments.output, entries);
  else save_safetensors(arguments.output, entries, {{"format", "pt"}});
  if (options.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"file", arguments.output}, {"outputs", shapes}}.dump());
  } else if (!options.quiet) {
    for (const TensorEntry& e : entries)
      fmt::print("{} {} ({})\n", e.name, e.dtype, fmt::join(e.shape, ", "));
  }
  return 0;
}

}  // namespace dae
