// Parameters and the modules that own them. A module is a struct whose members are its layers. Each member
// registers with its parent under a name; the names joined by dots are PyTorch's name of the same parameter.
#pragma once
#include <string>
#include <vector>

#include "engine/autograd.h"
#include "engine/random.h"

namespace dae {

// How the shape of a tensor in memory differs from its shape in PyTorch's files.
//   same   no difference
//   conv   (a, kh, kw, b) in memory, (a, b, kh, kw) in files
enum class Layout { same, conv };

struct Param {
  std::string name;
  Tensor value;        // in the wide type of the run (dtype.h)
  Tensor grad;         // in the same type; empty until backward() fills it
  mutable Tensor low;  // a copy of the values in bf16 or f16; empty until in() is asked for that type
  Layout layout = Layout::same;
  bool buffer = false;   // running statistics: saved, never trained
  bool counter = false;  // num_batches_tracked: i64 in files

  bool frozen() const { return !value.tracked(); }
  void freeze(bool frozen);  // a frozen parameter is a constant to the tape
  // Must be called after `value` was written in place. Graphs recorded before become invalid: grad() refuses
  // them. Writes the new values to `low` too, unless low_too is false because the caller has done so.
  void changed(bool low_too = true);
  // Returns the values in the type `compute`, for a matrix product with activations of that type: `value`
  // itself, or `low`, which is made at the first call. Both stand for the same leaf of the tape, so the
  // gradient goes to `grad` in the wide type in both cases.
  Tensor in(Dtype compute) const;
  Shape file_shape() const;  // the shape that PyTorch gives it
  Tensor to_file() const;    // returns the values in PyTorch's order, on the CPU
  // Takes the values from t, which has file_shape() and any type. Fault::data for another shape.
  void from_file(const Tensor& t);
};

// How a model's parameters are made. The initial values are drawn in f32 on the CPU from `init`, so a model
// starts from the same numbers in every compute type and on every device.
struct Build {
  Dtype dtype = Dtype::f32;  // the compute type
  Rng* init = nullptr;
  Device device = Device::cpu;
};

class Module {
 public:
  explicit Module(const Build& build) : build_(build) {}  // makes a root
  Module(Module* parent, std::string name);               // makes a member of `parent`
  Module(const Module&) = delete;
  virtual ~Module();

  // These three cover this module and all modules below it, in the order of declaration.
  std::vector<Param*> params() const;    // the parameters, without the buffers
  std::vector<Param*> state() const;     // parameters and buffers: what a file holds
  std::vector<Module*> modules() const;  // the modules below this one
  // Sets Param::name to `prefix`, a dot and the dotted path, for everything in state(). Call once on a root.
  void name_params(const std::string& prefix);
  void train(bool on);  // training or eval mode, of batch norm and dropout, here and below
  bool training() const { return training_; }
  void freeze(bool frozen);  // freezes or unfreezes every parameter here and below; frozen: eval mode too
  int64_t parameter_count() const;

 protected:
  // Each registers p under `name` and gives it initial values: uniform in [-bound, bound], normal with mean 0
  // and deviation std, or constant. A buffer is saved but not trained.
  void add_uniform(Param& p, const std::string& name, const Shape& shape, double bound,
                   Layout layout = Layout::same);
  void add_normal(Param& p, const std::string& name, const Shape& shape, double std,
                  Layout layout = Layout::same);
  void add_constant(Param& p, const std::string& name, const Shape& shape, double value, bool buffer = false);

 private:
  void add(Param& p, const std::string& name, Layout layout);
  void visit(const std::function<void(Param&, const std::string&)>& f, const std::string& prefix) const;
  struct Entry {
    std::string name;
    Module* module = nullptr;  // one of the two is null
    Param* param = nullptr;
  };
  std::vector<Entry> entries_;
  Module* parent_ = nullptr;
  Build build_;
  bool training_ = true;
};

// While an EvalMode lives, its module and everything below are in eval mode; then in the mode that the module had.
class EvalMode {
 public:
  explicit EvalMode(Module& module) : module_(module), training_(module.training()) { module.train(false); }
  ~EvalMode() { module_.train(training_); }
  EvalMode(const EvalMode&) = delete;

 private:
  Module& module_;
  bool training_;
};

}  // namespace dae
