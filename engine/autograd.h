// The tape of automatic differentiation. Each recorded tensor has a node, which knows its inputs and how to
// turn the gradient of the tensor into the gradients of the inputs. Nodes are numbered as they are made, so
// descending numbers are a valid order for the backward pass, and it needs no recursion.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/tensor.h"

namespace dae {

using Needs = std::vector<bool>;    // for each input: is its gradient asked for?
using Grads = std::vector<Tensor>;  // for each input: its gradient; no tensor if not needed or zero
using Backward = std::function<Grads(const Tensor& dy, const Needs& need)>;

struct Node {
  const char* op = "";
  uint64_t number = 0;
  uint64_t version = 0;                       // for a leaf: how often its values were changed in place
  std::vector<std::shared_ptr<Node>> inputs;  // null where the input is not tracked
  std::vector<uint64_t> versions;             // the inputs' versions when this node was made
  Backward backward;                          // empty: a leaf, or already used
  ~Node();                                    // frees a chain of any length in a loop, without recursion
};

// Returns y, which was computed from `inputs` by the op named `op`. If recording is on and any input is
// tracked, y gets a node of the tape. `backward` maps dy, the gradient of y, to the gradients of the inputs.
// The tensors that it captures stay in memory until the node has run, so it should capture only what it
// needs, detached.
Tensor record(const char* op, Tensor y, const std::vector<Tensor>& inputs, Backward backward);

// Makes t a leaf of the tape: grad() can then give the gradient with respect to it.
void track(Tensor& t);

// Turns recording off on this thread for as long as the object lives.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;

 private:
  bool before_;
};
bool recording();

struct GradOptions {
  bool keep = false;  // the graph can be used again; otherwise each node frees what it saved once it has run
  Tensor dy;          // the gradient of y; empty: 1, and y must have one element
};
// Returns the gradient of y with respect to each tensor of `wrt`, which are leaves or recorded tensors. The
// gradient is empty for a tensor that y does not depend on. Only the nodes on a path from y to a tensor of
// `wrt` run. Fault::internal if y has several elements and options.dy is empty, if a part of the graph was
// freed by an earlier call without `keep`, or if a parameter was changed in place after the forward pass.
Grads grad(const Tensor& y, std::span<const Tensor> wrt, const GradOptions& options = {});

struct Param;  // module.h
Grads grad(const Tensor& loss, std::span<Param* const> wrt, bool keep = false);
// Computes the same gradients as grad() and adds them to Param::grad of each parameter of `wrt`.
void backward(const Tensor& loss, std::span<Param* const> wrt, const GradOptions& options = {});

// Returns how many nodes grad() has run on this thread so far. For tests.
int64_t nodes_run();

}  // namespace dae
