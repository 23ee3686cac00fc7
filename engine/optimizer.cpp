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
      const AdamStep h{g.lr * lr_factor, options_.beta1,     options_.beta2, options_.eps,
                       g.weight_decay,   options_.decoupled, g.step,         options_.ema};
      // On CUDA the 16-bit copy is written in the same pass.
      const bool with_low = p->low && p->low.device() == Device::cuda;
      dispatch(with_low ? p->low : p->value, [&](auto where, auto zero) {
        using T = decltype(zero);
        using W = Wide<T>;
        W *value = p->value.data<W>(), *m = moments.m.data<W>(), *v = moments.v.data<W>();
        W *ema = data_of<W>(moments.ema), *gradient = p->grad.data<W>();
        if constexpr (std::is_same_v<decltype(where), Cuda>)
          adamw_step(where, value, m, v, ema, with_low ? p->low.data<T>() : nullptr, gradient,
                     p->value.size(), h);
        else adamw_step(where, value, m, v, ema, gradient, p->value.size(), h);
      });
      p->changed(!with_low);
      p->grad = {};
    }
  }
}
