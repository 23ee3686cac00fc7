// Saved statistics of features: .npz with mu (d) and sigma (d, d), and of sFID's spatial features mu_s and
// sigma_s, as pytorch-fid and the ADM evaluator read and write them; besides, count.
#pragma once
#include <optional>
#include <string>

#include "models/inception.h"
#include "train/metrics/frechet.h"

// Nothing if `path` is no .npz with statistics of either kind. Fault::data for one that lacks the layer's.
std::optional<Statistics> read_statistics(const std::string& path, InceptionLayer layer);
// pooled or spatial may be null.
void save_statistics(const std::string& path, const Statistics* pooled, const Statistics* spatial);
