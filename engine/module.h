// Parameters and the modules that own them. A module is a struct whose members are its layers; each registers
// with its parent under a name, and the dotted path is the name PyTorch gives the same parameter.
#pragma once
#include <string>
#include <vector>

#include "engine/autograd.h"
#include "engine/random.h"

// How a tensor in memory differs from its shape in PyTorch's files.
enum class Layout { same, conv };  // conv: (a, kh, kw, b) here, (a, b, kh, kw) there

struct Param {
  std::string name;
  Tensor value;        // in the wide type of the run (dtype.h)
  Tensor grad;         // likewise; empty until backward() fills it
  mutable Tensor low;  // the values in bf16 or f16, once a layer has asked for them
  Layout layout = Layout::same;
  bool buffer = false;   // running statistics: saved, never trained
  bool counter = false;  // num_batches_tracked: an i64 in files

  bool frozen() const { return !value.tracked(); }
  void freeze(bool frozen);  // a frozen parameter is a constant to the tape
  // Its values were written in place: graphs recorded before are stale, and so is the copy if `low_too`.
  void changed(bool low_too = true);
  // The values as matrix products of activations in `compute` read them: `value`, or the copy beside it,
  // which stands for the same leaf of the tape. Its gradient comes in the wide type either way.
  Tensor in(Dtype compute) const;
  Shape file_shape() const;  // as PyTorch writes it
  Tensor to_file() const;    // values in PyTorch's order, on the CPU
  void from_file(const Tensor& t);
};

// What a model's parameters are made with. Initial values are drawn in f32 on the CPU from `init`, so that
// every model starts from the same numbers.
struct Build {
  Dtype dtype = Dtype::f32;  // the compute type
  Rng* init = nullptr;
  Device device = Device::cpu;
};

class Module {
 public:
  explicit Module(const Build& build) : build_(build) {}  // a root
  Module(Module* parent, std::string name);               // a member
  Module(const Module&) = delete;
  virtual ~Module();

  // Parameters and buffers of this module and below, in order of declaration, named by `prefix` + dotted
  // path.
  std::vector<Param*> params() const;           // trained ones
  std::vector<Param*> state() const;            // trained ones and buffers: what a file holds
  std::vector<Module*> modules() const;         // its members and theirs, likewise
  void name_params(const std::string& prefix);  // sets Param::name throughout; call once on a root
  void train(bool on);                          // batch norm, dropout
  bool training() const { return training_; }
  void freeze(bool frozen);  // every parameter below; a frozen module is in eval mode
  int64_t parameter_count() const;

 protected:
  // Registers p and gives it a value: uniform in [-bound, bound], or a constant.
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
    Module* module = nullptr;  // one of the two
    Param* param = nullptr;
  };
  std::vector<Entry> entries_;
  Module* parent_ = nullptr;
  Build build_;
  bool training_ = true;
};
