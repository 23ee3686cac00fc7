// Activations, y = f(x) and dx = f'(x) dy over arrays (n); the table of f is Activation in activation.h.
// One variant: map (map.h), 16 bytes a thread, arithmetic in float. Bound by memory: 2 n elements forward,
// 3 n backward. Not measured on a GPU yet.
#include "kernels/activation.h"
#include "kernels/map.h"

namespace {

// Of the tanh approximation: gelu(x) = x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3).
constexpr float kRoot = 0.7978845608028654f, kCube = 0.044715f, kInvRoot2 = 0.7071067811865476f;
constexpr float kInvRoot2Pi = 0.3989422804014327f;

__device__ inline float sigmoid_of(float x) { return 1 / (1 + expf(-x)); }

}  // namespace

template <class T>
void activation_forward(Cuda where, Activation f, T* y, const T* x, int64_t n, double slope) {
  const float s = float(slope);
  switch (f) {
    case Activation::relu:  // so that NaN stays NaN
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
          where, "silu", n, [] __device__(float x) { return x * sigmoid_of(x); }, y, x);
    case Activation::gelu:
      return map(
          where, "gelu", n, [] __device__(float x) { return x * 0.5f * (1 + erff(x * kInvRoot2)); }, y, x);
    case Activation::gelu_tanh:
      return map(
          where, "gelu_tanh", n,
          [] __device__(float x) { return 0.5f * x * (1 + tanhf(kRoot * (x + kCube * x * x * x))); }, y, x);
    case Activation::softplus:  // log(1 + e^x), for large x as well
      return map(
          where, "softplus", n,
          [] __device__(float x) { return (x < 0 ? 0.0f : x) + log1pf(expf(-fabsf(x))); }, y, x);
  }
}

template <class T>
void activation_backward(Cuda where, Activation f, T* dx, const T* dy, const T* kept, int64_t n,
                         double slope) {
  const float s = float(slope);
  switch (f) {  // g: the gradient; y or x: what was kept
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
          where, "silu_backward", n,
          [] __device__(float g, float x) {
            const float p = sigmoid_of(x);
            return g * p * (1 + x * (1 - p));
          },
          dx, dy, kept);
    case Activation::gelu:
      return map(
          where, "gelu_backward", n,
          [] __device__(float g, float x) {
            const float density = kInvRoot2Pi * expf(-0.5f * x * x);
            return g * (0.5f * (1 + erff(x * kInvRoot2)) + x * density);
          },
          dx, dy, kept);
    case Activation::gelu_tanh:
      return map(
          where, "gelu_tanh_backward", n,
          [] __device__(float g, float x) {
            const float t = tanhf(kRoot * (x + kCube * x * x * x));
            return g * 0.5f * (1 + t + x * (1 - t * t) * kRoot * (1 + 3 * kCube * x * x));
          },
          dx, dy, kept);
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
