// Weights from a file of any format, compared with a model's state by name and shape.
#pragma once
#include <string>
#include <vector>

#include "data/tensor_file.h"
#include "engine/module.h"

// A tensor of a file; integers and booleans become i64. Fault::data for more dimensions than a tensor can
// have.
Tensor tensor_of(const std::string& path, const TensorEntry& entry);
std::vector<double> values_of(const TensorEntry& entry);  // of any rank

// The tensors of a file that are weights: of a Lightning checkpoint those under "state_dict.", without that
// word; of a run's checkpoint all but the optimizers'; with `only` those whose names begin so. In each name a
// beginning "old" becomes "new", by the first of the prefixes "old=new" that fits. Fault::usage for a prefix
// that fits none, or a part of `only`; Fault::data if two names become one.
std::vector<TensorEntry> weight_entries(const TensorFile& file, const std::vector<std::string>& prefixes = {},
                                        const std::vector<std::string>& only = {});

// How tensors fit a model's state. Counters (num_batches_tracked) may be missing, as in files of old.
struct Fit {
  std::vector<std::string> missing;     // "name shape"
  std::vector<std::string> unexpected;  // likewise
  std::vector<std::string> misshaped;   // "name: expected shape, found shape"
  bool good() const { return missing.empty() && unexpected.empty() && misshaped.empty(); }
};
Fit fit(const std::vector<TensorEntry>& entries, const std::vector<const Param*>& state);

// Fills the state; Fault::data, one line with the first names of each kind, if anything does not fit.
void fill(const std::string& path, const std::vector<TensorEntry>& entries, const std::vector<Param*>& state);
