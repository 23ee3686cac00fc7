#include "kernels/activation.h"

#include <cmath>

#include "kernels/parallel.h"
#include "kernels/vmath.h"

namespace {

// Of the tanh approximation: gelu(x) = x/2 (1 + tanh(u)), u = sqrt(2/pi) (x + 0.044715 x^3).
constexpr double kRoot = 0.7978845608028654, kCube = 0.044715, kInvRoot2 = 0.7071067811865476;
constexpr double kInvRoot2Pi = 0.3989422804014327;

}  // namespace

template <class T>
void activation_forward(Cpu, Activation f, T* y, const T* x, int64_t n, double slope) {
  const T s = T(slope);
  switch (f) {
    case Activation::relu:  // so that NaN stays NaN
      return each_element(n, [=](int64_t i) { y[i] = x[i] < 0 ? T(0) : x[i]; });
    case Activation::leaky_relu:
      return each_element(n, [=](int64_t i) { y[i] = x[i] * (x[i] > 0 ? T(1) : s); });
    case Activation::sigmoid:
      return each_element(n, [=](int64_t i) { y[i] = fast_sigmoid(x[i]); });
    case Activation::tanh:
      return each_element(n, [=](int64_t i) { y[i] = fast_tanh(x[i]); });
    case Activation::silu:
      return each_element(n, [=](int64_t i) { y[i] = x[i] * fast_sigmoid(x[i]); });
    case Activation::gelu:
      return each_element(n, [=](int64_t i) { y[i] = x[i] * T(0.5) * (1 + fast_erf(x[i] * T(kInvRoot2))); });
    case Activation::gelu_tanh:
      return each_element(n, [=](int64_t i) {
        const T u = T(kRoot) * (x[i] + T(kCube) * x[i] * x[i] * x[i]);
        y[i] = T(0.5) * x[i] * (1 + fast_tanh(u));
      });
    case Activation::softplus:
      return each_element(n, [=](int64_t i) { y[i] = fast_softplus(x[i]); });
  }
}

template <class T>
void activation_backward(Cpu, Activation f, T* dx, const T* dy, const T* k, int64_t n, double slope) {
  const T s = T(slope);
  switch (f) {
    case Activation::relu:
      return each_element(n, [=](int64_t i) {
        const T g = dy[i];
        dx[i] = k[i] > 0 ? g : T(0);
      });
    case Activation::leaky_relu:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * (k[i] > 0 ? T(1) : s); });
    case Activation::sigmoid:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * k[i] * (1 - k[i]); });
    case Activation::tanh:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * (1 - k[i] * k[i]); });
    case Activation::silu:
      return each_element(n, [=](int64_t i) {
        const T g = fast_sigmoid(k[i]);
        dx[i] = dy[i] * g * (1 + k[i] * (1 - g));
      });
    case Activation::gelu:
      return each_element(n, [=](int64_t i) {
        const T x = k[i], phi = T(kInvRoot2Pi) * fast_exp(-T(0.5) * x * x);
        dx[i] = dy[i] * (T(0.5) * (1 + fast_erf(x * T(kInvRoot2))) + x * phi);
      });
    case Activation::gelu_tanh:
      return each_element(n, [=](int64_t i) {
        const T x = k[i], t = fast_tanh(T(kRoot) * (x + T(kCube) * x * x * x));
        dx[i] = dy[i] * T(0.5) * (1 + t + x * (1 - t * t) * T(kRoot) * (1 + 3 * T(kCube) * x * x));
      });
    case Activation::softplus:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * fast_sigmoid(k[i]); });
  }
}

template void activation_forward(Cpu, Activation, float*, const float*, int64_t, double);
template void activation_forward(Cpu, Activation, double*, const double*, int64_t, double);
template void activation_backward(Cpu, Activation, float*, const float*, const float*, int64_t, double);
template void activation_backward(Cpu, Activation, double*, const double*, const double*, int64_t, double);
