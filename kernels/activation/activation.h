// Activations and their gradients. All arrays are (n).
//   activation_forward    y = f(x)
//   activation_backward   dx = f'(x) dy
// f by name:
//   relu         max(x, 0)
//   leaky_relu   x for x > 0, else slope x
//   sigmoid      1 / (1 + e^-x)
//   tanh         tanh(x)
//   silu         x sigmoid(x)
//   gelu         x Phi(x), Phi the normal distribution function
//   gelu_tanh    x/2 (1 + tanh(v)), v = sqrt(2/pi) (x + 0.044715 x^3)
//   softplus     log(1 + e^x)
#pragma once
#include "kernels/device/device.h"

namespace dae {

enum class Activation { relu, leaky_relu, sigmoid, tanh, silu, gelu, gelu_tanh, softplus };

// `slope` is the factor of leaky_relu below 0; the other activations ignore it.
template <class T>
void activation_forward(Cpu, Activation f, T* y, const T* x, int64_t n, double slope);
template <class T>
void activation_forward(Cuda, Activation f, T* y, const T* x, int64_t n, double slope);
// `kept` is y where keeps_output(f) is true, else x. dx may be the same array as dy.
template <class T>
void activation_backward(Cpu, Activation f, T* dx, const T* dy, const T* kept, int64_t n, double slope);
template <class T>
void activation_backward(Cuda, Activation f, T* dx, const T* dy, const T* kept, int64_t n, double slope);
// Returns whether the backward of f reads the output y: for relu, leaky_relu, sigmoid and tanh.
inline bool keeps_output(Activation f) { return f <= Activation::tanh; }

}  // namespace dae
