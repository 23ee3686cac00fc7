// Activations, y = f(x), and dx = f'(x) dy. All arrays: (n).
#pragma once
#include "kernels/device.h"

enum class Activation { relu, leaky_relu, sigmoid, tanh, silu, gelu, gelu_tanh, softplus };

// slope: leaky_relu's, below 0.
template <class T>
void activation_forward(Cpu, Activation f, T* y, const T* x, int64_t n, double slope);
template <class T>
void activation_forward(Cuda, Activation f, T* y, const T* x, int64_t n, double slope);
// kept: y for relu, leaky_relu, sigmoid and tanh, x for the others. dx may be dy.
template <class T>
void activation_backward(Cpu, Activation f, T* dx, const T* dy, const T* kept, int64_t n, double slope);
template <class T>
void activation_backward(Cuda, Activation f, T* dx, const T* dy, const T* kept, int64_t n, double slope);
inline bool keeps_output(Activation f) { return f <= Activation::tanh; }
