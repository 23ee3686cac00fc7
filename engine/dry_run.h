// A dry run counts the memory and the work of a training step without doing it. While a DryRun lives, tensors
// made on this thread have shapes and addresses, but nothing touches their memory, and dispatch() calls no
// kernel. The training code itself runs, with its own tape, its own optimizer and the same requests for
// memory, so the plan made from the counts agrees with the training. A value read from a tensor is zero, or
// what the host wrote there.
#pragma once
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/module.h"

namespace dae {

class DryRun {
 public:
  DryRun();
  ~DryRun();  // tensors made while it lives must be gone before
  DryRun(const DryRun&) = delete;

  // Registers the layer of each parameter: its name up to the last dot. A tensor computed with a parameter is
  // counted for that parameter's layer; a tensor computed without parameters, for the layer of its first
  // input that has one. Call it again whenever parameters were rebuilt or frozen.
  void name_layers(const std::vector<Param*>& params);

  // Starts a phase: peak(), held_at_peak() and work() count from the last call of begin_phase(), or from the
  // beginning of the dry run.
  void begin_phase();

  enum class Kind { parameters, moments, averages, parameter_gradients, activations, gradients };
  static const char* name(Kind kind);
  struct Held {  // the bytes that one kind of tensor of one layer held when the most memory was in use
    std::string layer;
    Kind kind;
    int64_t bytes = 0;
  };
  int64_t peak() const { return peak_; }  // the most bytes in use at once, in sizes of the pool's blocks
  std::vector<Held> held_at_peak();

  struct Work {  // the sum over all calls of one op in one layer
    std::string layer, op;
    bool backward = false;
    int64_t calls = 0;
    double flops = 0;  // multiplications and additions of matrix products, convolutions and attention only
    double bytes = 0;  // the least that must be read and written: each operand once
  };
  std::vector<Work> work() const;  // in the order of the first call

  // The rest is called by the engine.
  std::shared_ptr<Block> allocate(Device device, size_t size, const Shape& shape, Dtype dtype);
  void released(const Block& block);
  void multiplied(double flops) { pending_flops_ += flops; }
  void recorded(const char* op, const Tensor& y, const std::vector<Tensor>& inputs);
  void entered(const Tensor& y);  // after recorded(), if y got a node of the tape
  void ran_backward(const Node& node, const Tensor& dy, const Grads& dx);
  void is_parameter_gradient(const Tensor& t);
  void updated(double bytes);  // counts an optimizer's step
  struct Gradients {           // while one lives, new tensors are counted as gradients
    Gradients();
    ~Gradients();
    Gradients(const Gradients&) = delete;
    bool before;
  };

 private:
  struct Entry {                                     // one allocation
    const Block* block = nullptr;                    // null once it is released
    int64_t bytes = 0, born = 0, freed = INT64_MAX;  // the last two are times, see now_
    int layer = 0;
    Kind kind = Kind::activations;
  };
  Entry* entry(const Tensor& t);
  static void settle_kind(Entry& e);
  int layer_of(const std::vector<Tensor>& inputs);
  int layer(const std::string& name);
  void count(int layer, const std::string& op, bool backward, double bytes);

  std::vector<std::string> layers_;
  std::unordered_map<std::string, int> layer_by_name_;
  std::unordered_map<const void*, int> layer_by_value_;  // by the address of a parameter's values
  std::unordered_map<const Node*, int> layer_by_node_;   // by the leaf of a parameter, or a recorded node
  std::vector<Entry> entries_;
  std::vector<Work> work_;
  std::map<std::tuple<int, std::string, bool>, size_t> work_by_key_;
  // now_ is the time: how many allocations and releases there were.
  int64_t now_ = 0, live_ = 0, peak_ = 0, peak_at_ = 0;
  double pending_flops_ = 0;
  bool gradients_ = false;
};

// Tells the dry run, if there is one, the multiplications and additions of a product. Ops call it where they
// call the kernel.
inline void count_flops(double flops) {
  if (dry_run) dry_run->multiplied(flops);
}

}  // namespace dae
