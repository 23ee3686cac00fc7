// Convolution over images in NHWC, weights (co, kh, kw, ci):
//   y[n, i, j, o] = bias[o] + sum_{u, v, c} x[n, i*stride - pad_top + u, j*stride - pad_left + v, c] w[o, u,
//   v, c]
// with x = 0 outside the image. x, dx (n, h, w, ci); y, dy (n, oh, ow, co); bias, db (co).
// A transposed convolution's forward is conv_backward_input, its gradient of the input conv_forward: its ci
// and co, input and output change places, and its weights are (in, kh, kw, out).
#pragma once
#include <cstdint>

#include "kernels/device.h"

struct ConvShape {
  int64_t n, h, w, ci, co, kh, kw, stride, pad_top, pad_left, pad_bottom, pad_right;
  int64_t oh() const { return (h + pad_top + pad_bottom - kh) / stride + 1; }
  int64_t ow() const { return (w + pad_left + pad_right - kw) / stride + 1; }
};

// bias may be null.
template <class T>
void conv_forward(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape shape);
template <class T>
void conv_forward(Cuda, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape shape);
template <class T>
void conv_backward_input(Cpu, T* dx, const T* dy, const T* weight, ConvShape shape);
template <class T>
void conv_backward_input(Cuda, T* dx, const T* dy, const T* weight, ConvShape shape);
template <class T>
void conv_backward_weight(Cpu, T* dw, const T* dy, const T* x, ConvShape shape);
template <class T>
void conv_backward_weight(Cuda, Wide<T>* dw, const T* dy, const T* x, ConvShape shape);

// The formula as loops, on one thread: the oracle of the tests.
template <class T>
void conv_forward_naive(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape shape);
template <class T>
void conv_backward_input_naive(Cpu, T* dx, const T* dy, const T* weight, ConvShape shape);
template <class T>
void conv_backward_weight_naive(Cpu, T* dw, const T* dy, const T* x, ConvShape shape);

// The Cpu half as a matrix product whose left side is read where it lies in the image.
template <class T>
void conv_forward_implicit(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape shape);
template <class T>
void conv_backward_input_implicit(Cpu, T* dx, const T* dy, const T* weight, ConvShape shape);
template <class T>
void conv_backward_weight_implicit(Cpu, T* dw, const T* dy, const T* x, ConvShape shape);

// The Cpu half with fewer multiplications, for shapes that fit: strides 1 and 2, at most three taps of each
// remainder by the stride. It pays where many pixels share the weights.
bool conv_fits_winograd(const ConvShape& shape);
bool conv_pays_winograd(const ConvShape& shape);
template <class T>
void conv_forward_winograd(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape shape);
template <class T>
void conv_backward_input_winograd(Cpu, T* dx, const T* dy, const T* weight, ConvShape shape);
template <class T>
void conv_backward_weight_winograd(Cpu, T* dw, const T* dy, const T* x, ConvShape shape);
