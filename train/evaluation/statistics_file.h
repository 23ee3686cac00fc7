// Files with statistics of features. They are .npz files as pytorch-fid and the ADM evaluator read and write
// them:
//   mu (d), sigma (d, d)      of pooled features
//   mu_s (d), sigma_s (d, d)  of sFID's spatial features
//   provenance                JSON as bytes: protocol, layer of mu, CRC-32 of the weights, count
// Without the provenance the numbers of two files cannot be compared.
#pragma once
#include <optional>
#include <string>

#include "models/inception.h"
#include "train/evaluation/frechet.h"

namespace dae {

struct SavedStatistics {
  Statistics statistics;
  std::string protocol, weights;  // the protocol's name; CRC-32 of the weight file. Empty: not in the file
};

// Returns the statistics of `layer`, or nothing if `path` is not an .npz file with statistics. Throws
// Fault::data if it has statistics but not those of the layer, and Fault::usage if it names another layer.
std::optional<SavedStatistics> read_statistics(const std::string& path, InceptionLayer layer);
// Writes the statistics `pooled`, of `layer`, and `spatial`. One of the two may be null.
void save_statistics(const std::string& path, const Statistics* pooled, InceptionLayer layer,
                     const Statistics* spatial, const std::string& protocol, const std::string& weights);

}  // namespace dae
