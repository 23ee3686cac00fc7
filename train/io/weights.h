// Weights from files of any format, compared with a model's state by name and shape.
#pragma once
#include <string>
#include <vector>

#include "data/files/tensor_file.h"
#include "engine/module.h"

namespace dae {

// Returns a tensor of a file. Integers and booleans become i64. Throws Fault::data for more dimensions than a
// tensor can have.
Tensor tensor_of(const std::string& path, const TensorEntry& entry);
// Returns the values of a tensor of any rank.
std::vector<double> values_of(const TensorEntry& entry);

// Returns the tensors of a file that are weights:
//   Lightning checkpoint   those under "state_dict.", without that prefix
//   checkpoint of a run    all but the optimizers'
//   other files            all
// With `only`, those of them whose names begin with one of its entries. `prefixes` are "old=new": in each
// name the first prefix that fits is replaced. Throws Fault::usage for a prefix or an entry of `only` that
// fits no name, and Fault::data if two names become equal.
std::vector<TensorEntry> weight_entries(const TensorFile& file, const std::vector<std::string>& prefixes = {},
                                        const std::vector<std::string>& only = {});

// How tensors fit a model's state. Counters (num_batches_tracked) may be missing, as in old PyTorch files.
struct Fit {
  std::vector<std::string> missing;     // "name shape"
  std::vector<std::string> unexpected;  // "name shape"
  std::vector<std::string> misshaped;   // "name: expected shape, found shape"
  bool good() const { return missing.empty() && unexpected.empty() && misshaped.empty(); }
};
// Compares the tensors with the state by name and shape, and returns the differences.
Fit fit(const std::vector<TensorEntry>& entries, const std::vector<const Param*>& state);

// Fills the state with the tensors. Throws Fault::data, one line with the first names of each kind, if
// anything does not fit.
void fill(const std::string& path, const std::vector<TensorEntry>& entries, const std::vector<Param*>& state);

}  // namespace dae
