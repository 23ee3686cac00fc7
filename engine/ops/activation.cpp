#include "kernels/activation/activation.h"

#include "engine/ops.h"

namespace dae {

namespace {

Tensor activation(const char* name, Activation f, const Tensor& x, double slope = 0) {
  Tensor y = x.like();
  dispatch(x, [&]<class T>(auto where) {
    activation_forward(where, f, y.data<T>(), x.data<T>(), x.size(), slope);
  });
  const Tensor kept = (keeps_output(f) ? y : x).detach();
  return record(name, y, {x}, [f, slope, kept](const Tensor& dy, const Needs&) -> Grads {
    Tensor dx = dy.like();
    dispatch(dy, [&]<class T>(auto where) {
      activation_backward(where, f, dx.data<T>(), dy.data<T>(), kept.data<T>(), dy.size(), slope);
    });
    return {dx};
  });
}

}  // namespace

Tensor relu(const Tensor& x) { return activation("relu", Activation::relu, x); }
Tensor leaky_relu(const Tensor& x, double slope) {
  return activation("leaky_relu", Activation::leaky_relu, x, slope);
}
Tensor sigmoid(const Tensor& x) { return activation("sigmoid", Activation::sigmoid, x); }
Tensor tanh(const Tensor& x) { return activation("tanh", Activation::tanh, x); }
Tensor silu(const Tensor& x) { return activation("silu", Activation::silu, x); }
Tensor gelu(const Tensor& x) { return activation("gelu", Activation::gelu, x); }
Tensor gelu_tanh(const Tensor& x) { return activation("gelu_tanh", Activation::gelu_tanh, x); }
Tensor softplus(const Tensor& x) { return activation("softplus", Activation::softplus, x); }

}  // namespace dae
