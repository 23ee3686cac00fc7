#include "engine/dry_run.h"

#include <sys/mman.h>

namespace dae {

DryRun::DryRun() : layers_{""} {
  if (dry_run) fail(Fault::internal, "dry run: there is one already");
  dry_run = this;
}
DryRun::~DryRun() { dry_run = nullptr; }

const char* DryRun::name(Kind kind) {
  constexpr const char* kNames[] = {"parameters",          "moments",     "averages",
                                    "parameter gradients", "activations", "gradients"};
  return kNames[int(kind)];
}

int DryRun::layer(const std::string& name) {
  const auto [at, added] = layer_by_name_.try_emplace(name, int(layers_.size()));
  if (added) layers_.push_back(name);
  return at->second;
}

void DryRun::name_layers(const std::vector<Param*>& params) {
  layer_by_value_.clear();
  for (const Param* p : params) {
    const size_t dot = p->name.rfind('.');
    const int of = layer(dot == std::string::npos ? p->name : p->name.substr(0, dot));
    layer_by_value_[p->value.raw()] = of;
    if (p->value.node()) layer_by_node_[p->value.node().get()] = of;
    if (Entry* e = entry(p->value)) e->kind = Kind::parameters;
  }
}

void DryRun::begin_phase() {
  peak_ = live_, peak_at_ = now_;
  work_.clear(), work_by_key_.clear();
  pending_flops_ = 0;
}

// ---- memory -----------------------------------------------------------------------------------------------

std::shared_ptr<Block> DryRun::allocate(Device device, size_t size, const Shape& shape, Dtype dtype) {
  const auto block = std::make_shared<Block>();
  block->size = size, block->device = device, block->shape = shape, block->dtype = dtype;
  void* data =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED)
    fail(Fault::internal, "dry run: {} bytes of addresses asked for, for {} {}, and the system has no more",
         size, dae::name(dtype), shape.str());
  block->data = data;
  block->dry = int64_t(entries_.size());
  Entry& e = entries_.emplace_back();
  e.block = block.get(), e.bytes = int64_t(size), e.born = now_++;
  e.kind = gradients_ ? Kind::gradients : Kind::activations;
  live_ += e.bytes;
  if (live_ > peak_) peak_ = live_, peak_at_ = e.born;
  return block;
}

void DryRun::released(const Block& block) {
  Entry& e = entries_[size_t(block.dry)];
  settle_kind(e);
  e.block = nullptr, e.freed = now_++;
  live_ -= e.bytes;
}

DryRun::Entry* DryRun::entry(const Tensor& t) {
  const Block* block = t.block();
  return block && block->dry >= 0 ? &entries_[size_t(block->dry)] : nullptr;
}

// Parameters, moments and averages are allocated by modules and optimizers, which give their kind as the name
// of the op (Tensor::made_by).
void DryRun::settle_kind(Entry& e) {
  const std::string op = e.block ? e.block->op : "";
  for (const Kind kind : {Kind::parameters, Kind::moments, Kind::averages})
    if (op == name(kind)) e.kind = kind;
}

std::vector<DryRun::Held> DryRun::held_at_peak() {
  std::map<std::pair<int, Kind>, int64_t> sums;
  for (Entry& e : entries_) {
    settle_kind(e);
    if (e.born <= peak_at_ && peak_at_ < e.freed) sums[{e.layer, e.kind}] += e.bytes;
  }
  std::vector<Held> out;
  for (const auto& [key, bytes] : sums) out.push_back({layers_[size_t(key.first)], key.second, bytes});
  return out;
}

// ---- work -------------------------------------------------------------------------------------------------

std::vector<DryRun::Work> DryRun::work() const { return work_; }

void DryRun::count(int layer, const std::string& op, bool backward, double bytes) {
  const auto [at, added] = work_by_key_.try_emplace({layer, op, backward}, work_.size());
  if (added) work_.push_back({layers_[size_t(layer)], op, backward});
  Work& w = work_[at->second];
  ++w.calls, w.bytes += bytes, w.flops += std::exchange(pending_flops_, 0);
}

// Returns the layer of the parameter among the inputs; without one, the layer of the first input that has
// one.
int DryRun::layer_of(const std::vector<Tensor>& inputs) {
  int found = 0;
  for (const Tensor& t : inputs) {
    if (!t) continue;
    if (const auto p = layer_by_value_.find(t.raw()); p != layer_by_value_.end()) return p->second;
    const Node* node = t.node().get();
    if (node && node->inputs.empty())  // the low-precision copy of a parameter shares its leaf
      if (const auto leaf = layer_by_node_.find(node); leaf != layer_by_node_.end()) return leaf->second;
    if (const Entry* e = entry(t); e && !found) found = e->layer;
  }
  return found;
}

void DryRun::recorded(const char* op, const Tensor& y, const std::vector<Tensor>& inputs) {
  const int of = layer_of(inputs);
  if (Entry* e = entry(y); e && !e->layer) e->layer = of;
  if (gradients_) return;  // it is part of a node's backward, which ran_backward() counts as a whole
  double bytes = double(y.bytes());
  for (const Tensor& t : inputs) {
    if (!t) continue;
    if (t.block() == y.block()) return count(of, op, false, 0);  // a view moves no bytes
    bytes += double(t.bytes());
  }
  count(of, op, false, bytes);
}

void DryRun::entered(const Tensor& y) {
  if (const Entry* e = entry(y)) layer_by_node_[y.node().get()] = e->layer;
}

void DryRun::ran_backward(const Node& node, const Tensor& dy, const Grads& dx) {
  const auto found = layer_by_node_.find(&node);
  const int of = found == layer_by_node_.end() ? 0 : found->second;
  double bytes = 0;
  for (const Tensor& t : dx) {
    if (!t || t.block() == dy.block()) continue;
    bytes += double(t.bytes());
    if (Entry* e = entry(t); e && !e->layer) e->layer = of;
  }
  count(of, node.op, true, bytes > 0 ? bytes + double(dy.bytes()) : 0);
}

void DryRun::is_parameter_gradient(const Tensor& t) {
  if (Entry* e = entry(t)) e->kind = Kind::parameter_gradients;
}

void DryRun::updated(double bytes) { count(0, "optimizer", false, bytes); }

DryRun::Gradients::Gradients() : before(dry_run && std::exchange(dry_run->gradients_, true)) {}
DryRun::Gradients::~Gradients() {
  if (dry_run) dry_run->gradients_ = before;
}

}  // namespace dae
