// The tape. Each recorded tensor has a node that knows its inputs and how to turn the gradient of the tensor
// into gradients of the inputs. Nodes are numbered as they are made, so descending numbers are a valid
// backward order and nothing here recurses.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/tensor.h"

using Needs = std::vector<bool>;    // by input: is its gradient asked for?
using Grads = std::vector<Tensor>;  // by input: its gradient, or no tensor where it is not needed or zero
using Backward = std::function<Grads(const Tensor& dy, const Needs& need)>;

struct Node {
  const char* op = "";
  uint64_t number = 0;
  uint64_t version = 0;                       // of a leaf: how often its values were changed in place
  std::vector<std::shared_ptr<Node>> inputs;  // null where the input is not tracked
  std::vector<uint64_t> versions;             // of the inputs, when this node was made
  Backward backward;                          // empty: a leaf, or already used
  ~Node();                                    // frees a chain of any length in a loop
};

// Enters an op into the tape: y was computed from `inputs`, and `backward` maps dy to their gradients.
// Returns y, which is tracked if any input is and recording is on. `backward` should hold no more than it
// needs (detached).
Tensor record(const char* op, Tensor y, const std::vector<Tensor>& inputs, Backward backward);

// Makes t a leaf whose gradient can be asked for.
void track(Tensor& t);

// Nothing is recorded on this thread while one lives.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;

 private:
  bool before_;
};
bool recording();

// Gradients of y with respect to each of `wrt` (leaves or recorded tensors); only nodes on a path between the
// two run. dy: the gradient of y, 1 if empty (y must then have one element). keep: the graph can be used
// again; otherwise each node frees what it saved as soon as it has run. A tensor of `wrt` that y does not
// depend on gets an empty gradient.
struct GradOptions {
  bool keep = false;
  Tensor dy;
};
Grads grad(const Tensor& y, std::span<const Tensor> wrt, const GradOptions& options = {});

struct Param;  // module.h
Grads grad(const Tensor& loss, std::span<Param* const> wrt, bool keep = false);
// As grad, but adds the results into p->grad.
void backward(const Tensor& loss, std::span<Param* const> wrt, const GradOptions& options = {});

// How many nodes grad() has run on this thread so far: what tests count.
int64_t nodes_run();
