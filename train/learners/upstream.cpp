#include "train/learners/upstream.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/files/file.h"
#include "kernels/device/error.h"
#include "train/io/run_folder.h"
#include "train/io/weights.h"

namespace dae {

namespace {

std::string hash_of(std::vector<TensorEntry> weights) {
  std::sort(weights.begin(), weights.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  uint32_t crc = 0;
  for (const TensorEntry& entry : weights)
    crc = crc_of({static_cast<const char*>(entry.bytes), entry.size}, crc_of(entry.name, crc));
  return fmt::format("{:08x}", crc);
}

}  // namespace

Upstream::Upstream(const Recipe& recipe)
    : file_(weights_file(recipe.upstream.run)), weights_(weight_entries(file_)), hash_(hash_of(weights_)) {
  if (!recipe.upstream.hash.empty() && hash_ != recipe.upstream.hash)
    fail(Fault::usage,
         "upstream.run: {}: expected weights of hash {}, found {}; name the run that this one was built on",
         path(), recipe.upstream.hash, hash_);
}

int64_t Upstream::rows(const char* name, const char* what) const {
  for (const TensorEntry& entry : weights_)
    if (entry.name == name && !entry.shape.empty()) return entry.shape[0];
  fail(Fault::data, "upstream.run: {}: expected the weights of {}, found no {}", path(), what, name);
}

void Upstream::load(Module& module) const {
  fill(path(), weights_, module.state());
  module.freeze(true);
}

}  // namespace dae
