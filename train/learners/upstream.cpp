#include "train/learners/upstream.h"

#include <algorithm>

#include "data/files/file.h"
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

// Returns the number of rows of a weight. Throws Fault::data if the file does not have it.
int64_t rows(const TensorFile& file, const std::vector<TensorEntry>& weights, const char* name) {
  for (const TensorEntry& entry : weights)
    if (entry.name == name && !entry.shape.empty()) return entry.shape[0];
  fail(Fault::data, "model.encoder: {}: expected the weights of a SimCLR run, found no {}; name such a run",
       file.path(), name);
}

}  // namespace

std::unique_ptr<Simclr> load_encoder(const Recipe& recipe) {
  const TensorFile file(weights_file(recipe.model.encoder));
  const std::vector<TensorEntry> weights = weight_entries(file);
  const int64_t stem = rows(file, weights, "backbone.conv1.weight"),
                projection = rows(file, weights, "head.3.weight");
  if (projection != recipe.model.z_dim)
    fail(Fault::usage, "model.z_dim: expected {}, which the encoder {} projects to, found {}", projection,
         file.path(), recipe.model.z_dim);
  if (const std::string hash = hash_of(weights), &expected = recipe.model.encoder_hash;
      !expected.empty() && hash != expected)
    fail(Fault::usage,
         "model.encoder: {}: expected weights of hash {}, found {}; name the encoder of the run", file.path(),
         expected, hash);
  Rng init(recipe.seed);
  auto encoder = std::make_unique<Simclr>(Build{dtype_from(recipe.dtype), &init, recipe.device},
                                          recipe.model.z_dim, double(stem) / 64);
  fill(file.path(), weights, encoder->state());
  encoder->freeze(true);
  return encoder;
}

std::string encoder_hash(const Recipe& recipe) {
  const TensorFile file(weights_file(recipe.model.encoder));
  return hash_of(weight_entries(file));
}

}  // namespace dae
