// Adam and AdamW over named groups of parameters, with an optional moving average of the weights in the same
// pass. The DAE schedule is a freeze of one group.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/module.h"

struct Group {
  std::string name;
  std::vector<Param*> params;
  double lr = 1e-3;
  double weight_decay = 0;
  bool frozen = false;  // not stepped, not recorded
  int64_t step = 0;     // updates so far: bias correction
};

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  bool decoupled = true;  // weight decay as AdamW (Loshchilov & Hutter 2019); otherwise added to the gradient
  double ema = 0;         // decay of the moving average; 0: none is kept
};

class AdamW {
 public:
  explicit AdamW(const AdamOptions& options = {}) : options_(options) {}

  Group& add_group(Group group);
  Group& group(std::string_view name);
  void freeze(std::string_view name);  // the group's parameters become constants of the tape
  // New parameters in place of the group's: moments zero, its own step count from 0, its average restarted.
  void rebuild(std::string_view name, std::vector<Param*> params);
  std::vector<Param*> trainable() const;  // parameters of the groups that are not frozen
  void step(double lr_factor = 1);        // updates from Param::grad and drops the gradients
  void zero_grad();

  const AdamOptions& options() const { return options_; }
  std::vector<Group>& groups() { return groups_; }
  const std::vector<Group>& groups() const { return groups_; }

  // First and second moment (f32, or f64 in an f64 model) and average of a parameter: what a checkpoint
  // holds.
  struct Moments {
    Tensor m, v, ema;
  };
  Moments& moments(const Param& p) { return moments_.at(&p); }

 private:
  void add_moments(Param& p);
  AdamOptions options_;
  std::vector<Group> groups_;
  std::unordered_map<const Param*, Moments> moments_;
};
