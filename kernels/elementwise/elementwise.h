// Elementwise kernels and their gradients. All arrays are (n), unless a shape is given.
#pragma once
#include "kernels/device/device.h"

namespace dae {

enum class Binary { add, sub, mul, div };
enum class Unary { square, sqrt, exp, log, abs };

// Writes y = a + b, a - b, a b or a / b.
template <class T>
void binary_forward(Cpu, Binary op, T* y, const T* a, const T* b, int64_t n);
template <class T>
void binary_forward(Cuda, Binary op, T* y, const T* a, const T* b, int64_t n);
// Writes the gradients da and db of dy; each may be null, and is then not computed. It reads the inputs that
// the gradients need:
//   add, sub   none
//   mul        b for da, a for db
//   div        b for da, a and b for db
template <class T>
void binary_backward(Cpu, Binary op, T* da, T* db, const T* dy, const T* a, const T* b, int64_t n);
template <class T>
void binary_backward(Cuda, Binary op, T* da, T* db, const T* dy, const T* a, const T* b, int64_t n);

// Writes y = x^2, sqrt(x), e^x, log(x) (the natural logarithm) or |x|.
template <class T>
void unary_forward(Cpu, Unary op, T* y, const T* x, int64_t n);
template <class T>
void unary_forward(Cuda, Unary op, T* y, const T* x, int64_t n);
// Writes dx = f'(x) dy. `kept` is y for sqrt and exp, x for the others. The gradient of abs at 0 is 0.
template <class T>
void unary_backward(Cpu, Unary op, T* dx, const T* dy, const T* kept, int64_t n);
template <class T>
void unary_backward(Cuda, Unary op, T* dx, const T* dy, const T* kept, int64_t n);

// y = factor x + offset
template <class T>
void affine(Cpu, T* y, const T* x, double factor, double offset, int64_t n);
template <class T>
void affine(Cuda, T* y, const T* x, double factor, double offset, int64_t n);
// y = s[0] x, where s lies in the memory of the device
template <class T>
void scale_by(Cpu, T* y, const T* x, const Wide<T>* s, int64_t n);
template <class T>
void scale_by(Cuda, T* y, const T* x, const Wide<T>* s, int64_t n);
// y = min(max(x, low), high). The gradient is dx = dy for low <= x <= high, else 0.
template <class T>
void clamp_forward(Cpu, T* y, const T* x, double low, double high, int64_t n);
template <class T>
void clamp_forward(Cuda, T* y, const T* x, double low, double high, int64_t n);
template <class T>
void clamp_backward(Cpu, T* dx, const T* dy, const T* x, double low, double high, int64_t n);
template <class T>
void clamp_backward(Cuda, T* dx, const T* dy, const T* x, double low, double high, int64_t n);
// y[r, c] = x[r, c] + bias[c]; x and y are (rows, channels), bias is (channels).
template <class T>
void add_bias(Cpu, T* y, const T* x, const Wide<T>* bias, int64_t rows, int64_t channels);
template <class T>
void add_bias(Cuda, T* y, const T* x, const Wide<T>* bias, int64_t rows, int64_t channels);

// A gated residual connection. x, y, residual, dx and dy are (images, positions, channels); gate and dgate
// are (images, channels).
//   forward    y[n, p, c] = residual[n, p, c] + gate[n, c] x[n, p, c]
//   backward   dx[n, p, c] = gate[n, c] dy[n, p, c]
//              dgate[n, c] = sum over p of dy[n, p, c] x[n, p, c]
// The gradient of residual is dy itself.
template <class T>
void gate_add_forward(Cpu, T* y, const T* residual, const T* gate, const T* x, int64_t images,
                      int64_t positions, int64_t channels);
template <class T>
void gate_add_forward(Cuda, T* y, const T* residual, const T* gate, const T* x, int64_t images,
                      int64_t positions, int64_t channels);
template <class T>
void gate_add_backward(Cpu, T* dgate, T* dx, const T* dy, const T* gate, const T* x, int64_t images,
                       int64_t positions, int64_t channels);
template <class T>
void gate_add_backward(Cuda, T* dgate, T* dx, const T* dy, const T* gate, const T* x, int64_t images,
                       int64_t positions, int64_t channels);

}  // namespace dae
