#include "engine/autograd.h"

#include <algorithm>
#include <atomic>
#include <unordered_map>
#include <unordered_set>

#include "engine/dry_run.h"
#include "engine/ops.h"

namespace dae {

namespace {

std::atomic<uint64_t> next_number{1};
thread_local bool recording_on = true;
thread_local int64_t nodes_run_count = 0;

// Adds dx to `sum`. The result is a new tensor, because the memory of `sum` may be shared: the gradients that
// a node returns can be its dy itself.
void accumulate(Tensor& sum, const Tensor& dx) {
  if (!dx) return;
  if (!sum) {
    sum = dx;
  } else {
    sum = add(sum, dx);
  }
}

}  // namespace

Node::~Node() {
  // The outermost destructor on a thread keeps a pile of nodes to free; the destructors that it causes only
  // add to the pile. So the depth of calls stays constant.
  thread_local std::vector<std::shared_ptr<Node>>* pile = nullptr;
  if (pile) {
    for (auto& input : inputs) pile->push_back(std::move(input));
    return;
  }
  std::vector<std::shared_ptr<Node>> mine = std::move(inputs);
  pile = &mine;
  backward = nullptr;  // the tensors that it captured may hold nodes too
  while (!mine.empty()) {
    auto node = std::move(mine.back());
    mine.pop_back();
    node.reset();
  }
  pile = nullptr;
}

NoGrad::NoGrad() : before_(recording_on) { recording_on = false; }
NoGrad::~NoGrad() { recording_on = before_; }
bool recording() { return recording_on; }
int64_t nodes_run() { return nodes_run_count; }

void track(Tensor& t) {
  auto leaf = std::make_shared<Node>();
  leaf->op = "leaf";
  leaf->number = next_number++;
  t.set_node(std::move(leaf));
}

Tensor record(const char* op, Tensor y, const std::vector<Tensor>& inputs, Backward backward) {
  y.made_by(op);
  if (dry_run) dry_run->recorded(op, y, inputs);
  if (!recording_on) return y;
  if (std::none_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.tracked(); })) return y;
  auto node = std::make_shared<Node>();
  node->op = op;
  node->number = next_number++;
  node->inputs.reserve(inputs.size());
  for (const Tensor& t : inputs) {
    node->inputs.push_back(t.node());
    node->versions.push_back(t.tracked() ? t.node()->version : 0);
  }
  node->backward = std::move(backward);
  y.set_node(std::move(node));
  if (dry_run) dry_run->entered(y);
  return y;
}

Grads grad(const Tensor& y, std::span<const Tensor> wrt, const GradOptions& options) {
  Grads result(wrt.size());
  if (!y.tracked()) return result;
  if (!options.dy && y.size() != 1)
    fail(Fault::internal, "grad: expected a tensor of one element (or its gradient given), found shape {}",
         y.shape().str());

  // Every node that y depends on, oldest first.
  std::vector<Node*> order;
  std::unordered_set<Node*> seen;
  for (std::vector<Node*> stack{y.node().get()}; !stack.empty();) {
    Node* node = stack.back();
    stack.pop_back();
    if (!node || !seen.insert(node).second) continue;
    order.push_back(node);
    for (auto& input : node->inputs) stack.push_back(input.get());
  }
  std::sort(order.begin(), order.end(), [](Node* a, Node* b) { return a->number < b->number; });

  // `wanted` holds the nodes that are asked for or lie on a path to one. No other node runs.
  std::unordered_map<Node*, std::vector<size_t>> asked;
  for (size_t i = 0; i < wrt.size(); ++i)
    if (wrt[i].tracked()) asked[wrt[i].node().get()].push_back(i);
  std::unordered_set<Node*> wanted, through;  // through: at least one input is wanted
  for (Node* node : order) {
    if (asked.count(node)) wanted.insert(node);
    for (auto& input : node->inputs)
      if (input && wanted.count(input.get())) {
        wanted.insert(node);
        through.insert(node);
        break;
      }
  }

  NoGrad off;
  const DryRun::Gradients counted;
  std::unordered_map<Node*, Tensor> gradients;
  gradients[y.node().get()] =
      options.dy ? options.dy.detach() : Tensor::full(y.shape(), 1, y.dtype(), y.device());
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    Node* node = *it;
    auto found = gradients.find(node);
    if (found == gradients.end() || !wanted.count(node)) continue;
    Tensor dy = std::move(found->second);
    gradients.erase(found);
    if (dry_run && node->inputs.empty()) dry_run->is_parameter_gradient(dy);
    if (auto a = asked.find(node); a != asked.end())
      for (size_t i : a->second) result[i] = dy;
    if (!through.count(node)) continue;
    if (!node->backward)
      fail(Fault::internal, "grad: {}: this part of the graph was freed by an earlier backward; pass keep",
           node->op);
    Needs need(node->inputs.size());
    for (size_t i = 0; i < need.size(); ++i) {
      Node* input = node->inputs[i].get();
      need[i] = input && wanted.count(input);
      if (input && input->version != node->versions[i])
        fail(Fault::internal, "grad: {}: a parameter it used was changed after the forward pass", node->op);
    }
    Grads dx = node->backward(dy, need);
    if (dry_run) dry_run->ran_backward(*node, dy, dx);
    ++nodes_run_count;
    dy = {};
    for (size_t i = 0; i < need.size(); ++i)
      if (need[i]) accumulate(gradients[node->inputs[i].get()], dx[i]);
    if (!options.keep) node->backward = nullptr;
  }
  return result;
}

namespace {
std::vector<Tensor> values(std::span<Param* const> params) {
  std::vector<Tensor> out;
  out.reserve(params.size());
  for (Param* p : params) out.push_back(p->value);
  return out;
}
}  // namespace

Grads grad(const Tensor& loss, std::span<Param* const> wrt, bool keep) {
  return grad(loss, values(wrt), GradOptions{keep, {}});
}

void backward(const Tensor& loss, std::span<Param* const> wrt, const GradOptions& options) {
  Grads gradients = grad(loss, values(wrt), options);
  const DryRun::Gradients counted;
  for (size_t i = 0; i < wrt.size(); ++i) {
    if (gradients[i]) accumulate(wrt[i]->grad, gradients[i]);
    if (dry_run && wrt[i]->grad) dry_run->is_parameter_gradient(wrt[i]->grad);
  }
}

}  // namespace dae
