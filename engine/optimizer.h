// Adam and AdamW over named groups of parameters, with an optional exponential moving average of the weights
// in the same pass. The DAE schedule freezes one group. The parameters of a group lie in one flat block, and
// so do its first moments, its second moments and its averages; Param::value is a view of its part of the
// block.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/module.h"

namespace dae {

struct Group {
  std::string name;
  std::vector<Param*> params;
  double lr = 1e-3;
  double weight_decay = 0;
  bool frozen = false;  // its parameters are not updated and not recorded
  // One element on the parameters' device, in the wide type. If it is 0, the next step() changes nothing in
  // the group, neither the step count nor the moments, and drops its gradients. Each step() empties the gate.
  // An empty gate is open.
  Tensor gate = {};
};

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  bool decoupled = true;  // AdamW's weight decay (Loshchilov & Hutter 2019); false: added to the gradient
  double ema = 0;         // decay of the moving average; 0: no average is kept
  // Loss scaling (Micikevicius et al. 2018), for f16 on CUDA. It keeps small gradients in the range of f16.
  double loss_scale = 0;        // the first scale; 0: no scaling
  int64_t scale_growth = 2000;  // the scale doubles after this many updates without an overflow
};

class AdamW {
 public:
  explicit AdamW(const AdamOptions& options = {}) : options_(options) {}
  AdamW(const AdamW&) = delete;

  // Adds a group and moves its parameters' values into one block. All groups must lie on one device.
  Group& add_group(Group group);
  Group& group(std::string_view name);
  void freeze(std::string_view name);  // the group's parameters become constants of the tape
  // Replaces the parameters of the group. The moments are zero, the group's step count is 0 and its average
  // starts from the new values.
  void rebuild(std::string_view name, std::vector<Param*> params);
  std::vector<Param*> trainable() const;  // the parameters of the groups that are not frozen

  // Exchanges weights and averages in the groups that are not frozen. A second call restores them. A frozen
  // group keeps its weights, because the other groups were trained with these and not with their average.
  void exchange_averages();

  void set_lr_factor(double factor);  // multiplies every group's learning rate, from the next step on
  // Returns the loss times the loss scale, on which to call backward(). Without loss scaling, the loss
  // itself.
  Tensor scaled(const Tensor& loss) const;
  // Updates the parameters from Param::grad and drops the gradients. With loss scaling, if a gradient is not
  // finite, only the scale changes. Reads nothing back from a CUDA device.
  void step();

  const AdamOptions& options() const { return options_; }
  std::vector<Group>& groups() { return groups_; }
  const std::vector<Group>& groups() const { return groups_; }

  // What a checkpoint holds: the moments and the average of each parameter, the number of updates of each
  // group, and the loss scale. steps() and loss_scale() wait for the device.
  struct Moments {  // first moment, second moment and average, in the wide type; no tensor where none is kept
    Tensor m, v, ema;
  };
  Moments& moments(const Param& p) { return moments_.at(&p); }
  int64_t steps(std::string_view group) const;
  void set_steps(std::string_view group, int64_t steps);
  struct LossScale {
    double scale = 1;
    int64_t good = 0;  // updates since the scale changed
  };
  LossScale loss_scale() const;
  void set_loss_scale(const LossScale& scale);

 private:
  struct Flat {  // the blocks of a group
    Tensor value, m, v, ema;
    std::vector<int64_t> begin;  // where each parameter begins, in elements
    Tensor state;                // on CUDA: an AdamState (kernels/optim/optim.h), with the number of updates
    int64_t steps = 0;           // on the CPU: the number of updates
  };
  size_t index(std::string_view name) const;
  void make_flat(const Group& group, Flat& flat);
  void step_on_cpu(size_t g);
  void count_step() const;  // in a dry run
  void step_on_cuda();

  AdamOptions options_;
  std::vector<Group> groups_;
  std::vector<Flat> flat_;  // by group
  std::unordered_map<const Param*, Moments> moments_;
  double lr_factor_ = 1;
  Tensor control_;  // on CUDA: an AdamControl
  Tensor scale_;    // on CUDA, one element: the loss scale; no tensor without loss scaling
};

}  // namespace dae
