// Activations, y = f(x), and their gradients, dx = f'(x) dy. All arrays are (n); activation.h has the table
// of f. The one variant is map (map.cuh): 16 bytes of each array per thread, arithmetic in float. The kernels
// are bound by memory and move 2 n elements forward, 3 n backward. Not measured on a GPU yet.
#include "kernels/activation/activation.h"
#include "kernels/activation/formulas.h"
#include "kernels/cuda/map.cuh"

namespace dae {

template <class T>
void activation_forward(Cuda where, Activation f, T* y, const T* x, int64_t n, double slope) {
  const float s = float(slope);
  switch (f) {
    case Activation::relu:  // this comparison keeps NaN
      return map(
          where, "relu", n, [] __device__(float x) { return x < 0 ? 0.0f : x; }, y, x);
    case Activation::leaky_relu:
      return map(
          where, "leaky_relu", n, [=] __device__(float x) { return x * (x > 0 ? 1.0f : s); }, y, x);
    case Activation::sigmoid:
      return map(
          where, "sigmoid", n, [] __device__(float x) { return sigmoid_of(x); }, y, x);
    case Activation::tanh:
      return map(
          where, "tanh", n, [] __device__(float x) { return tanhf(x); }, y, x);
    case Activation::silu:
      return map(
          where, "silu", n, [] __device__(float x) { return activate(Act::silu, x); }, y, x);
    case Activation::gelu:
      return map(
          where, "gelu", n, [] __device__(float x) { return activate(Act::gelu, x); }, y, x);
    case Activation::gelu_tanh:
      return map(
          where, "gelu_tanh", n, [] __device__(float x) { return activate(Act::gelu_tanh, x); }, y, x);
    case Activation::softplus:  // log(1 + e^x) in a form that does not overflow for large x
      return map(
          where, "softplus", n,
          [] __device__(float x) { return (x < 0 ? 0.0f : x) + log1pf(expf(-fabsf(x))); }, y, x);
  }
}

template <class T>
void activation_backward(Cuda where, Activation f, T* dx, const T* dy, const T* kept, int64_t n,
                         double slope) {
  const float s = float(slope);
  switch (f) {  // g is an element of dy; y or x is an element of kept
    case Activation::relu:
      return map(
          where, "relu_backward", n, [] __device__(float g, float y) { return y > 0 ? g : 0.0f; }, dx, dy,
          kept);
    case Activation::leaky_relu:
      return map(
          where, "leaky_relu_backward", n,
          [=] __device__(float g, float y) { return g * (y > 0 ? 1.0f : s); }, dx, dy, kept);
    case Activation::sigmoid:
      return map(
          where, "sigmoid_backward", n, [] __device__(float g, float y) { return g * y * (1 - y); }, dx, dy,
          kept);
    case Activation::tanh:
      return map(
          where, "tanh_backward", n, [] __device__(float g, float y) { return g * (1 - y * y); }, dx, dy,
          kept);
    case Activation::silu:
      return map(
          where, "silu_backward", n, [] __device__(float g, float x) { return g * slope_at(Act::silu, x); },
          dx, dy, kept);
    case Activation::gelu:
      return map(
          where, "gelu_backward", n, [] __device__(float g, float x) { return g * slope_at(Act::gelu, x); },
          dx, dy, kept);
    case Activation::gelu_tanh:
      return map(
          where, "gelu_tanh_backward", n,
          [] __device__(float g, float x) { return g * slope_at(Act::gelu_tanh, x); }, dx, dy, kept);
    case Activation::softplus:
      return map(
          where, "softplus_backward", n, [] __device__(float g, float x) { return g * sigmoid_of(x); }, dx,
          dy, kept);
  }
}

#define INSTANTIATE(T)                                                               \
  template void activation_forward(Cuda, Activation, T*, const T*, int64_t, double); \
  template void activation_backward(Cuda, Activation, T*, const T*, const T*, int64_t, double);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
