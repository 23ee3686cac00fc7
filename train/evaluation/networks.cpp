#include "train/evaluation/networks.h"

#include <fmt/format.h>

#include <map>
#include <regex>

#include "data/files/file.h"
#include "train/io/weights.h"

namespace dae {

namespace {

// For each layer the modules that it needs and the layer before it does not. A file reaches a layer if it
// holds the last of them.
const std::map<InceptionLayer, std::vector<std::string>> kNeeds = {
    {InceptionLayer::pool64, {"Conv2d_1a", "Conv2d_2a", "Conv2d_2b"}},
    {InceptionLayer::pool192, {"Conv2d_3b", "Conv2d_4a"}},
    {InceptionLayer::spatial,
     {"Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d.branch1x1"}},
    {InceptionLayer::pool768, {"Mixed_6d", "Mixed_6e"}},
    {InceptionLayer::pool1280, {"Mixed_7a"}},
    {InceptionLayer::pool2048, {"Mixed_7b", "Mixed_7c"}},
    {InceptionLayer::unbiased, {"fc.weight"}},
    {InceptionLayer::logits, {"fc.bias"}}};

bool begins_with(const std::string& text, const std::string& start) { return text.rfind(start, 0) == 0; }

// A file's tensors by the names of the model's parameters.
using Renamed = std::map<std::string, const TensorEntry*>;

void fill(Param& p, const TensorFile& file, const TensorEntry* entry) {
  if (!entry)
    fail(Fault::data, "weights: {}: expected {}, found no tensor of that name; is it of another network?",
         file.path(), p.name);
  const Tensor t = tensor_of(file.path(), *entry);
  if (!(t.shape() == p.file_shape()))
    fail(Fault::data, "weights: {}: {}: expected shape {}, found {}", file.path(), entry->name,
         p.file_shape().str(), t.shape().str());
  p.from_file(t);
}

struct Weights {
  TensorFile file;
  std::string crc32;
};

Weights open(const std::string& path) {
  std::string content = read_file(path);
  const std::string crc32 = fmt::format("{:08x}", crc_of(content));
  return {TensorFile(path, std::move(content)), crc32};
}

}  // namespace

const char* name(InceptionLayer layer) {
  constexpr const char* kNames[kInceptionLayers] = {"64",   "192",  "spatial",         "768",
                                                    "1280", "2048", "unbiased logits", "logits"};
  return kNames[int(layer)];
}

void InceptionNetwork::require(InceptionLayer layer) const {
  for (const InceptionLayer has : layers)
    if (has == layer) return;
  std::vector<std::string> names;
  for (const InceptionLayer has : layers) names.push_back(dae::name(has));
  fail(Fault::usage,
       "weights: {}: expected the network up to layer {}, found what serves the layers {}; "
       "use --layer or another file",
       path, dae::name(layer), fmt::join(names, ", "));
}

InceptionNetwork load_inception(const std::string& path, Device device) {
  const auto [file, crc32] = open(path);
  Rng init(0);
  InceptionNetwork out{
      std::make_unique<Inception>(Build{Dtype::f32, &init, device}), {}, path, crc32, device};
  out.model->name_params("");
  const std::vector<Param*> state = out.model->state();
  // The file ends before the first layer whose last module it does not hold.
  for (const auto& [layer, modules] : kNeeds) {
    const auto in_file = [&](const std::string& module) {
      for (const TensorEntry& entry : file.entries())
        if (begins_with(entry.name, module)) return true;
      return false;
    };
    if (!in_file(modules.back())) break;
    out.layers.push_back(layer);
    for (Param* p : state)
      for (const std::string& module : modules)
        if (begins_with(p->name, module) && !p->counter) fill(*p, file, file.find(p->name));
  }
  if (out.layers.empty())
    fail(Fault::data,
         "weights: {}: expected the Inception network under pytorch-fid's names, found no Conv2d_1a_3x3 to "
         "Conv2d_2b_3x3",
         path);
  out.model->freeze(true);
  out.model->fold();
  return out;
}

LpipsNetwork load_lpips(const std::string& path, Device device, Dtype dtype) {
  const auto [file, crc32] = open(path);
  Renamed tensors;
  const std::regex slice("net\\.slice[0-9]+\\.");
  for (const TensorEntry& entry : file.entries())
    tensors[std::regex_replace(entry.name, slice, "features.")] = &entry;
  const auto width = [&](const std::string& name) {
    const auto found = tensors.find(name);
    return found == tensors.end() || found->second->shape.size() != 4 ? 0 : found->second->shape[1];
  };
  LpipsNet net;
  if (tensors.contains("features.3.squeeze.weight")) net = LpipsNet::squeeze;
  else if (width("lin1.model.1.weight") == 192) net = LpipsNet::alex;
  else if (width("lin1.model.1.weight") == 128 && tensors.contains("features.28.weight")) net = LpipsNet::vgg;
  else
    fail(Fault::data,
         "weights: {}: expected LPIPS heads (lin0.model.1.weight, ...) and the features of VGG16, AlexNet or "
         "SqueezeNet 1.1, found none of these together",
         path);
  Rng init(0);
  LpipsNetwork out{std::make_unique<Lpips>(Build{dtype, &init, device}, net), net, path, crc32, device};
  out.model->name_params("");
  for (Param* p : out.model->state()) {
    const auto found = tensors.find(p->name);
    fill(*p, file, found == tensors.end() ? nullptr : found->second);
  }
  out.model->freeze(true);
  return out;
}

}  // namespace dae
