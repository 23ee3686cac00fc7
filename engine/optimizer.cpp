#include "engine/optimizer.h"

#include <cstring>

#include "engine/dry_run.h"
#include "engine/ops.h"
#include "kernels/optim/optim.h"

namespace dae {

namespace {

constexpr int64_t kBoundary = 64;  // elements; every parameter begins at a cache line

// Returns a tensor of device memory that holds a struct of kernels/optim/optim.h.
template <class S>
Tensor make_struct(const S& value) {
  static_assert(sizeof(S) % sizeof(int64_t) == 0);
  Tensor host({int64_t(sizeof(S) / sizeof(int64_t))}, Dtype::i64);
  std::memcpy(host.raw(), &value, sizeof(S));
  return host.to(Device::cuda);
}
template <class S>
S read_struct(const Tensor& t) {
  S value;
  std::memcpy(&value, t.to(Device::cpu).raw(), sizeof(S));
  return value;
}
template <class S>
S* address(const Tensor& t) {
  return static_cast<S*>(t.raw());
}

}  // namespace

size_t AdamW::index(std::string_view name) const {
  for (size_t g = 0; g < groups_.size(); ++g)
    if (groups_[g].name == name) return g;
  fail(Fault::internal, "optimizer: no group named {}", name);
}
Group& AdamW::group(std::string_view name) { return groups_[index(name)]; }

Group& AdamW::add_group(Group group) {
  make_flat(group, flat_.emplace_back());
  groups_.push_back(std::move(group));
  return groups_.back();
}

void AdamW::freeze(std::string_view name) {
  const size_t g = index(name);
  groups_[g].frozen = true;
  flat_[g].m = flat_[g].v = {};  // a frozen group is never stepped again; its average stays
  for (Param* p : groups_[g].params) {
    p->freeze(true);
    Moments& moments = moments_.at(p);
    moments.m = moments.v = {};
  }
}

void AdamW::rebuild(std::string_view name, std::vector<Param*> params) {
  const size_t g = index(name);
  for (Param* p : groups_[g].params) moments_.erase(p);
  groups_[g].params = std::move(params);
  flat_[g] = {};
  make_flat(groups_[g], flat_[g]);
}

std::vector<Param*> AdamW::trainable() const {
  std::vector<Param*> out;
  for (const Group& g : groups_)
    if (!g.frozen) out.insert(out.end(), g.params.begin(), g.params.end());
  return out;
}

void AdamW::exchange_averages() {
  if (options_.ema == 0) return;
  for (Group& g : groups_)
    for (Param* p : g.params) {
      if (g.frozen) continue;
      Tensor& average = moments_.at(p).ema;
      average.set_node(p->value.node());
      p->value.set_node({});
      std::swap(p->value, average);
      p->changed();
    }
}

void AdamW::make_flat(const Group& group, Flat& flat) {
  int64_t size = 0;
  for (const Param* p : group.params) {
    flat.begin.push_back(size);
    size += (p->value.size() + kBoundary - 1) / kBoundary * kBoundary;
  }
  if (group.params.empty()) return;
  const Tensor& like = group.params[0]->value;
  const Dtype dtype = like.dtype();
  const Device device = like.device();
  flat.value = Tensor::zeros({size}, dtype, device);
  flat.m = Tensor::zeros({size}, dtype, device);
  flat.v = Tensor::zeros({size}, dtype, device);
  flat.value.made_by("parameters"), flat.m.made_by("moments"), flat.v.made_by("moments");
  for (size_t i = 0; i < group.params.size(); ++i) {
    Param& p = *group.params[i];
    const auto part = [&](const Tensor& block) { return block.part(flat.begin[i], p.value.shape()); };
    Tensor value = part(flat.value);
    value.copy_from(p.value);
    value.set_node(p.value.node());
    p.value = value;
    moments_[&p] = {part(flat.m), part(flat.v), {}};
  }
  if (options_.ema > 0) {
    flat.ema = flat.value.clone();
    flat.ema.made_by("averages");
    for (size_t i = 0; i < group.params.size(); ++i)
      moments_[group.params[i]].ema = flat.ema.part(flat.begin[i], group.params[i]->value.shape());
  }
  if (device == Device::cuda) {
    flat.state = make_struct(AdamState{});
    if (!control_) {
      control_ = make_struct(AdamControl{lr_factor_, 0, 0});
      if (options_.loss_scale > 0) scale_ = Tensor::full({}, options_.loss_scale, Dtype::f32, Device::cuda);
    }
  }
}

void AdamW::set_lr_factor(double factor) {
  lr_factor_ = factor;
  if constexpr (kHasCuda)
    if (control_ && !dry_run) adam_set_rate(Cuda{gpu_stream()}, address<AdamControl>(control_), factor);
}

Tensor AdamW::scaled(const Tensor& loss) const { return scale_ ? scale_by(loss, scale_) : loss; }

void AdamW::step() {
  if (dry_run) {
    count_step();
  } else if (control_) {
    step_on_cuda();
  } else {
    for (size_t g = 0; g < groups_.size(); ++g)
      if (!groups_[g].frozen) step_on_cpu(g);
  }
  for (Group& g : groups_)
    for (Param* p : g.params)
      if (p->grad && !g.frozen) p->changed(!control_), p->grad = {};
  for (Group& g : groups_) g.gate = {};
}

void AdamW::count_step() const {
  // Read: value, gradient, both moments. Written: value, both moments. The average is read and written.
  double bytes = 0;
  for (const Param* p : trainable())
    if (p->grad) bytes += double(p->value.bytes()) * (options_.ema > 0 ? 9 : 7);
  dry_run->updated(bytes);
}

void AdamW::step_on_cpu(size_t at) {
  const Group& g = groups_[at];
  if (g.gate && g.gate.item() == 0) return;
  const AdamStep h{g.lr * lr_factor_, options_.beta1,     options_.beta2,    options_.eps,
                   g.weight_decay,    options_.decoupled, ++flat_[at].steps, options_.ema};
  for (Param* p : g.params) {
    if (!p->grad) continue;
    const Moments& moments = moments_.at(p);
    visit(p->value.dtype(), [&](auto zero) {
      using T = decltype(zero);
      if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
        adamw_step(Cpu{}, p->value.data<T>(), moments.m.data<T>(), moments.v.data<T>(),
                   data_of<T>(moments.ema), p->grad.data<T>(), p->value.size(), h);
    });
  }
}

void AdamW::step_on_cuda() {
  if constexpr (kHasCuda) {
    const Reach reach(Device::cuda);
    const Cuda where{gpu_stream()};
    auto* control = address<AdamControl>(control_);
    if (scale_) {
      std::vector<AdamSegment<float>> all;
      for (const Param* p : trainable())
        if (p->grad) all.push_back({p->grad.data<float>(), nullptr, 0, p->grad.size()});
      adam_look_for_overflow(where, control, all);
    }
    for (size_t at = 0; at < groups_.size(); ++at) {
      const Group& g = groups_[at];
      if (g.frozen || g.params.empty()) continue;
      Flat& flat = flat_[at];
      const AdamStep h{g.lr, options_.beta1, options_.beta2, options_.eps, g.weight_decay, options_.decoupled,
                       0,    options_.ema};
      adam_begin(where, address<AdamState>(flat.state), control, data_of<float>(scale_),
                 data_of<float>(g.gate), h);
      Dtype low = Dtype::f32;  // the type of the low-precision copies; f32: there are none
      for (const Param* p : g.params)
        if (p->low) low = p->low.dtype();
      visit(low, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, bf16> || std::is_same_v<T, f16>) {
          std::vector<AdamSegment<T>> segments;
          for (size_t i = 0; i < g.params.size(); ++i) {
            const Param& p = *g.params[i];
            if (p.grad)
              segments.push_back({p.grad.data<float>(), data_of<T>(p.low), flat.begin[i], p.value.size()});
          }
          adamw_step<T>(where, flat.value.data<float>(), flat.m.data<float>(), flat.v.data<float>(),
                        data_of<float>(flat.ema), segments, address<AdamState>(flat.state), h);
        }
      });
    }
    if (scale_) adam_adapt_scale(where, control, scale_.data<float>(), options_.scale_growth);
  }
}

int64_t AdamW::steps(std::string_view name) const {
  const Flat& flat = flat_[index(name)];
  return flat.state ? read_struct<AdamState>(flat.state).step : flat.steps;
}
void AdamW::set_steps(std::string_view name, int64_t steps) {
  Flat& flat = flat_[index(name)];
  flat.steps = steps;
  if (flat.state) flat.state.copy_from(make_struct(AdamState{.step = steps}));
}

AdamW::LossScale AdamW::loss_scale() const {
  if (!scale_) return {};
  return {scale_.item(), read_struct<AdamControl>(control_).good};
}
void AdamW::set_loss_scale(const LossScale& scale) {
  if (!scale_) return;
  scale_.copy_from(Tensor::full({}, scale.scale));
  control_.copy_from(make_struct(AdamControl{lr_factor_, int32_t(scale.good), 0}));
}

}  // namespace dae
