// Convolution over images in NHWC:
//   y[n, i, j, o] = bias[o] + sum_{u, v, c} x[n, p, q, c] w[o, u, v, c]
//   with p = i stride - pad_top + u and q = j stride - pad_left + v; x is 0 outside the image
//   x, dx      (n, h, w, ci)
//   y, dy      (n, oh, ow, co)
//   w, dw      (co, kh, kw, ci)
//   bias       (co)
// A transposed convolution swaps the roles: its forward pass is conv_backward_input, and the gradient of its
// input is conv_forward. ci and co as well as input and output change places, so its weights are (in, kh, kw,
// out).
#pragma once
#include <cstdint>

#include "kernels/device/device.h"

namespace dae {

struct ConvShape {
  int64_t n, h, w, ci, co, kh, kw, stride, pad_top, pad_left, pad_bottom, pad_right;
  int64_t oh() const { return (h + pad_top + pad_bottom - kh) / stride + 1; }
  int64_t ow() const { return (w + pad_left + pad_right - kw) / stride + 1; }
};

// Writes y. bias may be null.
template <class T>
void conv_forward(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape shape);
template <class T>
void conv_forward(Cuda, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape shape);
// Writes dx, the gradient of the input.
template <class T>
void conv_backward_input(Cpu, T* dx, const T* dy, const T* weight, ConvShape shape);
template <class T>
void conv_backward_input(Cuda, T* dx, const T* dy, const T* weight, ConvShape shape);
// Writes dw, the gradient of the weights.
template <class T>
void conv_backward_weight(Cpu, T* dw, const T* dy, const T* x, ConvShape shape);
template <class T>
void conv_backward_weight(Cuda, Wide<T>* dw, const T* dy, const T* x, ConvShape shape);

// These functions compute the formula as loops, on one thread: the oracle of the tests.
template <class T>
void conv_forward_naive(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape shape);
template <class T>
void conv_backward_input_naive(Cpu, T* dx, const T* dy, const T* weight, ConvShape shape);
template <class T>
void conv_backward_weight_naive(Cpu, T* dw, const T* dy, const T* x, ConvShape shape);

// These functions compute a matrix product whose left side is read from where it lies in the image.
template <class T>
void conv_forward_implicit(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape shape);
template <class T>
void conv_backward_input_implicit(Cpu, T* dx, const T* dy, const T* weight, ConvShape shape);
template <class T>
void conv_backward_weight_implicit(Cpu, T* dw, const T* dy, const T* x, ConvShape shape);

// These functions compute the convolutions with fewer multiplications (Winograd). conv_fits_winograd returns
// whether the shape allows it: stride 1 or 2, and at most three taps for each remainder by the stride.
// conv_pays_winograd returns whether it is also expected to be faster, as where many pixels share the
// weights.
bool conv_fits_winograd(const ConvShape& shape);
bool conv_pays_winograd(const ConvShape& shape);
template <class T>
void conv_forward_winograd(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape shape);
template <class T>
void conv_backward_input_winograd(Cpu, T* dx, const T* dy, const T* weight, ConvShape shape);
template <class T>
void conv_backward_weight_winograd(Cpu, T* dw, const T* dy, const T* x, ConvShape shape);

}  // namespace dae
