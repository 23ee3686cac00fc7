// Chooses the kernel that computes a convolution on the CPU.
#include "kernels/conv/conv.h"

namespace dae {

template <class T>
void conv_forward(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape s) {
  if (conv_pays_winograd(s)) conv_forward_winograd(Cpu{}, y, x, weight, bias, s);
  else conv_forward_implicit(Cpu{}, y, x, weight, bias, s);
}

template <class T>
void conv_backward_input(Cpu, T* dx, const T* dy, const T* weight, ConvShape s) {
  if (conv_pays_winograd(s)) conv_backward_input_winograd(Cpu{}, dx, dy, weight, s);
  else conv_backward_input_implicit(Cpu{}, dx, dy, weight, s);
}

template <class T>
void conv_backward_weight(Cpu, T* dw, const T* dy, const T* x, ConvShape s) {
  if (conv_pays_winograd(s)) conv_backward_weight_winograd(Cpu{}, dw, dy, x, s);
  else conv_backward_weight_implicit(Cpu{}, dw, dy, x, s);
}

#define INSTANTIATE(T)                                                          \
  template void conv_forward(Cpu, T*, const T*, const T*, const T*, ConvShape); \
  template void conv_backward_input(Cpu, T*, const T*, const T*, ConvShape);    \
  template void conv_backward_weight(Cpu, T*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
