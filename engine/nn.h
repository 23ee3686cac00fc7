// Layers. Each has parameters under PyTorch's names, with PyTorch's default initial values, and a call
// operator.
#pragma once
#include <cmath>

#include "engine/module.h"
#include "engine/ops.h"

namespace dae {

// y = act(x weight^T + bias): x (..., in) -> y (..., out); weight (out, in), bias (out).
// Initial weight and bias: uniform in +-1/sqrt(in).
struct Linear : Module {
  Linear(Module* parent, const std::string& name, int64_t in, int64_t out, bool with_bias = true)
      : Module(parent, name) {
    const double bound = 1 / std::sqrt(double(in));
    add_uniform(weight, "weight", {out, in}, bound);
    if (with_bias) add_uniform(bias, "bias", {out}, bound);
  }
  Tensor operator()(const Tensor& x, Act act = Act::none) const {
    return linear(x, weight.in(x.dtype()), bias.value, act);
  }
  // Returns residual + gate (x weight^T + bias), as linear_add() in ops.h. A transformer's block ends with
  // it.
  Tensor add_to(const Tensor& residual, const Tensor& x, const Tensor& gate = {}) const {
    return linear_add(residual, x, weight.in(x.dtype()), bias.value, gate);
  }
  Param weight, bias;
};

// The window of a convolution: h rows and w columns. One number makes a square.
struct Kernel {
  int64_t h, w;
  Kernel(int64_t side) : h(side), w(side) {}
  Kernel(int64_t h, int64_t w) : h(h), w(w) {}
};

// Initial weights of a convolution.
//   uniform   PyTorch's default: uniform in +-1/sqrt(in kh kw)
//   he        normal with variance 2 / (out kh kw) (He et al. 2015, with the fan-out)
enum class Init { uniform, he };

// Convolution, as conv2d() in ops.h: x (N, H, W, in) -> (N, H', W', out). weight (out, kh, kw, in), bias
// (out). The initial weight is as `init` says; the initial bias is uniform in +-1/sqrt(in kh kw).
struct Conv2d : Module {
  Conv2d(Module* parent, const std::string& name, int64_t in, int64_t out, Kernel kernel, int64_t stride,
         Pad pad, bool with_bias = true, Init init = Init::uniform)
      : Module(parent, name), stride(stride), pad(pad) {
    const int64_t window = kernel.h * kernel.w;
    const double bound = 1 / std::sqrt(double(in * window));
    const Shape shape{out, kernel.h, kernel.w, in};
    if (init == Init::uniform) add_uniform(weight, "weight", shape, bound, Layout::conv);
    else add_normal(weight, "weight", shape, std::sqrt(2.0 / double(out * window)), Layout::conv);
    if (with_bias) add_uniform(bias, "bias", {out}, bound);
  }
  Tensor operator()(const Tensor& x) const {
    return conv2d(x, weight.in(x.dtype()), bias.value, stride, pad);
  }
  Param weight, bias;
  int64_t stride;
  Pad pad;
};

// Transposed convolution: x (N, H, W, in) -> (N, (H-1) stride - 2 pad + kernel, ..., out). weight (in,
// kernel, kernel, out), bias (out). Initial values: uniform in +-1/sqrt(out kernel^2), as PyTorch, which
// takes out kernel^2 for the fan-in.
struct ConvTranspose2d : Module {
  ConvTranspose2d(Module* parent, const std::string& name, int64_t in, int64_t out, int64_t kernel,
                  int64_t stride, int64_t pad, bool with_bias = true)
      : Module(parent, name), stride(stride), pad(pad) {
    const double bound = 1 / std::sqrt(double(out * kernel * kernel));
    add_uniform(weight, "weight", {in, kernel, kernel, out}, bound, Layout::conv);
    if (with_bias) add_uniform(bias, "bias", {out}, bound);
  }
  Tensor operator()(const Tensor& x) const {
    return conv_transpose2d(x, weight.in(x.dtype()), bias.value, stride, pad);
  }
  Param weight, bias;
  int64_t stride, pad;
};

// Batch normalisation with a fused activation: x (..., C), statistics over all dimensions but the last. In
// training mode the statistics of the batch are used and the running ones are updated with momentum 0.1.
struct BatchNorm : Module {
  BatchNorm(Module* parent, const std::string& name, int64_t channels, double eps = 1e-5)
      : Module(parent, name), eps(eps) {
    add_constant(weight, "weight", {channels}, 1);
    add_constant(bias, "bias", {channels}, 0);
    add_constant(running_mean, "running_mean", {channels}, 0, true);
    add_constant(running_var, "running_var", {channels}, 1, true);
    num_batches_tracked.counter = true;
    add_constant(num_batches_tracked, "num_batches_tracked", {}, 0, true);
  }
  Tensor operator()(const Tensor& x, Act act = Act::none) {
    if (training()) num_batches_tracked.value.copy_from(shift(num_batches_tracked.value, 1));
    return batch_norm(x, weight.value, bias.value, running_mean.value, running_var.value, training(), 0.1,
                      eps, act);
  }
  Param weight, bias, running_mean, running_var, num_batches_tracked;
  double eps;
};

// Group normalisation with a fused activation: x (N, ..., C), statistics by image and group of channels.
struct GroupNorm : Module {
  GroupNorm(Module* parent, const std::string& name, int64_t groups, int64_t channels, double eps)
      : Module(parent, name), groups(groups), eps(eps) {
    add_constant(weight, "weight", {channels}, 1);
    add_constant(bias, "bias", {channels}, 0);
  }
  Tensor operator()(const Tensor& x, Act act = Act::none) const {
    return group_norm(x, weight.value, bias.value, groups, eps, act);
  }
  Param weight, bias;
  int64_t groups;
  double eps;
};

// Layer normalisation: x (..., C), statistics over the last dimension.
struct LayerNorm : Module {
  LayerNorm(Module* parent, const std::string& name, int64_t channels, double eps = 1e-5)
      : Module(parent, name), eps(eps) {
    add_constant(weight, "weight", {channels}, 1);
    add_constant(bias, "bias", {channels}, 0);
  }
  Tensor operator()(const Tensor& x) const { return layer_norm(x, weight.value, bias.value, eps); }
  Param weight, bias;
  double eps;
};

}  // namespace dae
