// A run that is built on a frozen run: [upstream] names the finished run and the hash of its weights.
// Whatever model it is, its weights come from there and never change; a run that goes on refuses other
// weights.
#pragma once
#include <string>
#include <vector>

#include "data/files/tensor_file.h"
#include "engine/module.h"
#include "train/recipe/recipe.h"

namespace dae {

class Upstream {
 public:
  // Opens the weights of recipe.upstream.run. Throws Fault::usage if their hash is not recipe.upstream.hash.
  explicit Upstream(const Recipe& recipe);
  const std::string& path() const { return file_.path(); }
  // Returns the CRC-32 of the weights and their names as 8 hexadecimal digits. The rest of the file has no
  // effect.
  const std::string& hash() const { return hash_; }
  // Returns the first dimension of a weight, from which a model's size follows. Throws Fault::data, which
  // asks for `what`, if the file has no such weight.
  int64_t rows(const char* name, const char* what) const;
  // Fills the module with the weights, freezes it, and puts it into eval mode. Throws Fault::data where they
  // do not fit.
  void load(Module& module) const;

 private:
  TensorFile file_;
  std::vector<TensorEntry> weights_;
  std::string hash_;
};

}  // namespace dae
