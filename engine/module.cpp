#include "engine/module.h"

#include <algorithm>

#include "engine/ops.h"

namespace dae {

namespace {
// kToFile permutes (a, kh, kw, b) to PyTorch's (a, b, kh, kw); kFromFile permutes it back.
const std::vector<int> kToFile = {0, 3, 1, 2}, kFromFile = {0, 2, 3, 1};
}  // namespace

void Param::freeze(bool on) {
  if (buffer || on == frozen()) return;
  if (on) value = value.detach(), grad = {};
  else track(value);
}
void Param::changed(bool low_too) {
  if (value.tracked()) ++value.node()->version;
  if (low && low_too) low.copy_from(value);
}
Tensor Param::in(Dtype compute) const {
  if (compute == value.dtype()) return value;
  if (!low || low.dtype() != compute) low = value.to(compute);
  Tensor stand_in = low;
  stand_in.set_node(value.node());
  return stand_in;
}
Shape Param::file_shape() const {
  const Shape& s = value.shape();
  return layout == Layout::conv ? Shape{s[0], s[3], s[1], s[2]} : s;
}
Tensor Param::to_file() const {
  NoGrad off;
  const Tensor host = value.to(Device::cpu);
  return layout == Layout::conv ? permute(host, kToFile) : host;
}
void Param::from_file(const Tensor& t) {
  if (!(t.shape() == file_shape()))
    fail(Fault::data, "weights: {}: expected shape {}, found {}", name, file_shape().str(), t.shape().str());
  NoGrad off;
  const Tensor typed = t.to(value.dtype());
  value.copy_from(layout == Layout::conv ? permute(typed, kFromFile) : typed);
  changed();
}

Module::Module(Module* parent, std::string name) : parent_(parent), build_(parent->build_) {
  parent->entries_.push_back({std::move(name), this, nullptr});
}
Module::~Module() {
  if (parent_) std::erase_if(parent_->entries_, [&](const Entry& e) { return e.module == this; });
}

void Module::visit(const std::function<void(Param&, const std::string&)>& f,
                   const std::string& prefix) const {
  for (const Entry& e : entries_) {
    if (e.param) f(*e.param, prefix + e.name);
    else e.module->visit(f, prefix + e.name + ".");
  }
}

std::vector<Param*> Module::params() const {
  std::vector<Param*> out;
  visit(
      [&](Param& p, const std::string&) {
        if (!p.buffer) out.push_back(&p);
      },
      "");
  return out;
}
std::vector<Param*> Module::state() const {
  std::vector<Param*> out;
  visit([&](Param& p, const std::string&) { out.push_back(&p); }, "");
  return out;
}
std::vector<Module*> Module::modules() const {
  std::vector<Module*> out;
  for (const Entry& e : entries_)
    if (e.module) {
      out.push_back(e.module);
      for (Module* below : e.module->modules()) out.push_back(below);
    }
  return out;
}
void Module::name_params(const std::string& prefix) {
  visit([](Param& p, const std::string& path) { p.name = path; }, prefix.empty() ? "" : prefix + ".");
}
void Module::train(bool on) {
  training_ = on;
  for (const Entry& e : entries_)
    if (e.module) e.module->train(on);
}
void Module::freeze(bool frozen) {
  for (Param* p : params()) p->freeze(frozen);
  train(!frozen);
}
int64_t Module::parameter_count() const {
  int64_t n = 0;
  for (Param* p : params()) n += p->value.size();
  return n;
}

void Module::add(Param& p, const std::string& name, Layout layout) {
  p.value = p.value.to(wide(build_.dtype)).to(build_.device);
  p.value.made_by("parameters");
  p.layout = layout;
  p.name = name;
  entries_.push_back({name, nullptr, &p});
  if (!p.buffer) track(p.value);
}
void Module::add_uniform(Param& p, const std::string& name, const Shape& shape, double bound, Layout layout) {
  p.value = uniform(shape, -bound, bound, build_.init->next());
  add(p, name, layout);
}
void Module::add_normal(Param& p, const std::string& name, const Shape& shape, double std, Layout layout) {
  NoGrad off;
  p.value = scale(normal(shape, build_.init->next()), std);
  add(p, name, layout);
}
void Module::add_constant(Param& p, const std::string& name, const Shape& shape, double value, bool buffer) {
  p.value = Tensor::full(shape, value);
  p.buffer = buffer;
  add(p, name, Layout::same);
}

}  // namespace dae
