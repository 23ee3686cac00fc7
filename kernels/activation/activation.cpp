// CPU kernels of activation.h, which gives the formulas and shapes. They vectorise (simd_math.h).
#include "kernels/activation/activation.h"

#include "kernels/activation/formulas.h"
#include "kernels/cpu/parallel.h"

namespace dae {

template <class T>
void activation_forward(Cpu, Activation f, T* y, const T* x, int64_t n, double slope) {
  const T s = T(slope);
  switch (f) {
    case Activation::relu:  // this comparison keeps NaN
      return each_element(n, [=](int64_t i) { y[i] = x[i] < 0 ? T(0) : x[i]; });
    case Activation::leaky_relu:
      return each_element(n, [=](int64_t i) { y[i] = x[i] * (x[i] > 0 ? T(1) : s); });
    case Activation::sigmoid:
      return each_element(n, [=](int64_t i) { y[i] = fast_sigmoid(x[i]); });
    case Activation::tanh:
      return each_element(n, [=](int64_t i) { y[i] = fast_tanh(x[i]); });
    case Activation::silu:
      return each_element(n, [=](int64_t i) { y[i] = activate<Act::silu>(x[i]); });
    case Activation::gelu:
      return each_element(n, [=](int64_t i) { y[i] = activate<Act::gelu>(x[i]); });
    case Activation::gelu_tanh:
      return each_element(n, [=](int64_t i) { y[i] = activate<Act::gelu_tanh>(x[i]); });
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
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * slope_at<Act::silu>(k[i]); });
    case Activation::gelu:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * slope_at<Act::gelu>(k[i]); });
    case Activation::gelu_tanh:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * slope_at<Act::gelu_tanh>(k[i]); });
    case Activation::softplus:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * fast_sigmoid(k[i]); });
  }
}

template void activation_forward(Cpu, Activation, float*, const float*, int64_t, double);
template void activation_forward(Cpu, Activation, double*, const double*, int64_t, double);
template void activation_backward(Cpu, Activation, float*, const float*, const float*, int64_t, double);
template void activation_backward(Cpu, Activation, double*, const double*, const double*, int64_t, double);

}  // namespace dae
