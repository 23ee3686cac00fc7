// A dry run: while one lives, tensors made on this thread have shapes and addresses but memory that nothing
// touches, and dispatch() calls no kernel. The code that trains thus runs with its own tape, its own
// optimizer and the same calls of the memory pool, in a moment and at no cost, and what is counted here is
// what it will do: a plan made this way cannot disagree with the training. Values read from a tensor are
// zeros, or what the host wrote into it.
#pragma once
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/module.h"

class DryRun {
 public:
  DryRun();
  ~DryRun();  // tensors made in it must be gone
  DryRun(const DryRun&) = delete;

  // The layers of all parameters there are: what is made from one belongs to its layer, and what is made from
  // that without parameters too. Again whenever some were rebuilt or frozen.
  void name_layers(const std::vector<Param*>& params);

  // What happened since the run began, or since the last call of begin_phase(): the largest sum of bytes in
  // use at once on `device`, as the pool counts it, and the work done.
  void begin_phase();

  enum class Kind { parameters, moments, averages, parameter_gradients, activations, gradients };
  static const char* name(Kind kind);
  struct Held {  // by one kind of tensor of one layer, when the most memory was in use
    std::string layer;
    Kind kind;
    int64_t bytes = 0;
  };
  int64_t peak() const { return peak_; }
  std::vector<Held> held_at_peak();

  struct Work {  // of all calls of one op with the parameters of one layer
    std::string layer, op;
    bool backward = false;
    int64_t calls = 0;
    double flops = 0;  // multiplications and additions of matrix products, convolutions and attention
    double bytes = 0;  // read and written at least: each operand once
  };
  std::vector<Work> work() const;  // in the order of the first call

  // Called by the engine.
  std::shared_ptr<Block> allocate(Device device, size_t size, const Shape& shape, Dtype dtype);
  void released(const Block& block);
  void multiplied(double flops) { pending_flops_ += flops; }
  void recorded(const char* op, const Tensor& y, const std::vector<Tensor>& inputs);
  void entered(const Tensor& y);  // recorded, and now on the tape
  void ran_backward(const Node& node, const Tensor& dy, const Grads& dx);
  void is_parameter_gradient(const Tensor& t);
  void updated(double bytes);  // an optimizer's step
  struct Gradients {           // what is made while one lives is a gradient
    Gradients();
    ~Gradients();
    Gradients(const Gradients&) = delete;
    bool before;
  };

 private:
  struct Entry {                   // an allocation; born and freed count allocations and releases
    const Block* block = nullptr;  // while it lives
    int64_t bytes = 0, born = 0, freed = INT64_MAX;
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
  std::unordered_map<const void*, int> layer_by_value_;  // by a parameter's address
  std::unordered_map<const Node*, int> layer_by_node_;   // its leaf, and what is recorded
  std::vector<Entry> entries_;
  std::vector<Work> work_;
  std::map<std::tuple<int, std::string, bool>, size_t> work_by_key_;
  int64_t now_ = 0, live_ = 0, peak_ = 0, peak_at_ = 0;
  double pending_flops_ = 0;
  bool gradients_ = false;
};

// Multiplications and additions of a product that is about to run: ops say so where they call its kernel.
inline void count_flops(double flops) {
  if (dry_run) dry_run->multiplied(flops);
}
