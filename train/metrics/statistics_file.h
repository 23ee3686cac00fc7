// Saved statistics of features: .npz with mu (d) and sigma (d, d), and of sFID's spatial features mu_s and
// sigma_s, as pytorch-fid and the ADM evaluator read and write them; besides, `provenance`: JSON, as bytes,
// with protocol, layer (of mu), the weights' CRC-32 and count, without which numbers of two files cannot be
// compared.
#pragma once
#include <optional>
#include <string>

#include "models/inception.h"
#include "train/metrics/frechet.h"

struct SavedStatistics {
  Statistics statistics;
  std::string protocol, weights;  // name; CRC-32 of the network's file. Empty: the file does not say
};

// Nothing if `path` is no .npz with statistics of either kind. Fault::data for one that lacks the layer's.
std::optional<SavedStatistics> read_statistics(const std::string& path, InceptionLayer layer);
// pooled, of `layer`, or spatial may be null.
void save_statistics(const std::string& path, const Statistics* pooled, InceptionLayer layer,
                     const Statistics* spatial, const std::string& protocol, const std::string& weights);
