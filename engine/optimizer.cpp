#include "engine/optimizer.h"

#include "kernels/optim.h"

Group& AdamW::add_group(Group group) {
  for (Param* p : group.params) add_moments(*p);
  groups_.push_back(std::move(group));
  return groups_.back();
}

Group& AdamW::group(std::string_view name) {
  for (Group& g : groups_)
    if (g.name == name) return g;
  fail(Fault::internal, "optimizer: no group named {}", name);
}

void AdamW::freeze(std::string_view name) {
  Group& g = group(name);
  g.frozen = true;
  for (Param* p : g.params) {
    p->freeze(true);
    Moments& moments = moments_.at(p);
    moments.m = moments.v = {};  // never used again; the average stays
  }
}

void AdamW::rebuild(std::string_view name, std::vector<Param*> params) {
  Group& g = group(name);
  for (Param* p : g.params) moments_.erase(p);
  g.params = std::move(params);
  g.step = 0;
  for (Param* p : g.params) add_moments(*p);
}

std::vector<Param*> AdamW::trainable() const {
  std::vector<Param*> out;
  for (const Group& g : groups_)
    if (!g.frozen) out.insert(out.end(), g.params.begin(), g.params.end());
  return out;
}

void AdamW::add_moments(Param& p) {
  const Tensor& x = p.value;
  moments_[&p] = {Tensor::zeros(x.shape(), x.dtype(), x.device()),
                  Tensor::zeros(x.shape(), x.dtype(), x.device()), options_.ema > 0 ? x.clone() : Tensor{}};
}

void AdamW::zero_grad() {
  for (Group& g : groups_)
    for (Param* p : g.params) p->grad = {};
}

void AdamW::step(double lr_factor) {
  for (Group& g : groups_) {
    if (g.frozen) continue;
    ++g.step;
    for (Param* p : g.params) {
      if (!p->grad) continue;
      Moments& moments = moments_.at(p);
      dispatch(p->value, [&](auto where, auto zero) {
        using W = Wide<decltype(zero)>;
        adamw_step(where, p->value.data<W>(), moments.m.data<W>(), moments.v.data<W>(),
                   data_of<W>(moments.ema), p->grad.data<W>(), p->value.size(),
                   {g.lr * lr_factor, options_.beta1, options_.beta2, options_.eps, g.weight_decay,
                    options_.decoupled, g.step, options_.ema});
      });
      p->changed();
      p->grad = {};
    }
  }
}
