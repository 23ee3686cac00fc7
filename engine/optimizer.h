// Adam and AdamW over named groups of parameters, with an optional moving average of the weights in the same
// pass. The DAE schedule is a freeze of one group. A group's parameters, moments and averages lie in one flat
// block each; Param::value is a view of its part.
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
  // One element on the parameters' device, in the wide type: where it is 0, the next step() leaves the group
  // as it is, step count and moments too, and drops its gradients. Empty: open, as it is again after a step.
  Tensor gate = {};
};

struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  bool decoupled = true;  // weight decay as AdamW (Loshchilov & Hutter 2019); otherwise added to the gradient
  double ema = 0;         // decay of the moving average; 0: none is kept
  // Loss scaling (Micikevicius et al. 2018), for f16 on CUDA: gradients too small for f16 are not lost. The
  // scale to start from, 0: none; and after how many updates without an overflow it doubles.
  double loss_scale = 0;
  int64_t scale_growth = 2000;
};

class AdamW {
 public:
  explicit AdamW(const AdamOptions& options = {}) : options_(options) {}
  AdamW(const AdamW&) = delete;

  // Moves the parameters' values into the group's block. All groups lie on one device.
  Group& add_group(Group group);
  Group& group(std::string_view name);
  void freeze(std::string_view name);  // the group's parameters become constants of the tape
  // New parameters in place of the group's: moments zero, its own step count from 0, its average restarted.
  void rebuild(std::string_view name, std::vector<Param*> params);
  std::vector<Param*> trainable() const;  // parameters of the groups that are not frozen

  // Exchanges weights and averages in the groups that are not frozen; the second call brings them back. The
  // other groups have learned with the weights of a frozen one, not with its average.
  void exchange_averages();

  void set_lr_factor(double factor);  // of every group's rate, from the next step on
  // The loss times the loss scale: what to call backward() on. The loss itself where there is no scale.
  Tensor scaled(const Tensor& loss) const;
  // Updates from Param::grad and drops the gradients. With a loss scale: unless one of them is not finite;
  // then nothing but the scale changes. Reads nothing back from the device.
  void step();
  void zero_grad();

  const AdamOptions& options() const { return options_; }
  std::vector<Group>& groups() { return groups_; }
  const std::vector<Group>& groups() const { return groups_; }

  // What a checkpoint holds: of a parameter the first and second moment (f32, or f64 in an f64 model) and the
  // average, of a group how many updates it has had, and the loss scale. The getters wait for the device.
  struct Moments {
    Tensor m, v, ema;
  };
  Moments& moments(const Param& p) { return moments_.at(&p); }
  int64_t steps(std::string_view group) const;
  void set_steps(std::string_view group, int64_t steps);
  struct LossScale {
    double scale = 1;
    int64_t good = 0;  // updates since it changed
  };
  LossScale loss_scale() const;
  void set_loss_scale(const LossScale& scale);

 private:
  struct Flat {  // of a group
    Tensor value, m, v, ema;
    std::vector<int64_t> begin;  // of each parameter
    Tensor state;                // on CUDA: an AdamState (kernels/optim.h)
    int64_t steps = 0;           // on the CPU
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
  Tensor scale_;    // on CUDA, one element: the loss scale, if there is one
};
