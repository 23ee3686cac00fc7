// Elementwise kernels. All arrays: (n), unless a shape is given.
#pragma once
#include "kernels/device.h"

enum class Binary { add, sub, mul, div };
enum class Unary { square, sqrt, exp, log, abs };

template <class T>
void binary_forward(Cpu, Binary op, T* y, const T* a, const T* b, int64_t n);
template <class T>
void binary_forward(Cuda, Binary op, T* y, const T* a, const T* b, int64_t n);
// da or db may be null. div needs a and b, mul the other factor; add and sub neither.
template <class T>
void binary_backward(Cpu, Binary op, T* da, T* db, const T* dy, const T* a, const T* b, int64_t n);
template <class T>
void binary_backward(Cuda, Binary op, T* da, T* db, const T* dy, const T* a, const T* b, int64_t n);

template <class T>
void unary_forward(Cpu, Unary op, T* y, const T* x, int64_t n);
template <class T>
void unary_forward(Cuda, Unary op, T* y, const T* x, int64_t n);
// kept: y for sqrt and exp, x for the others. abs has gradient 0 at 0.
template <class T>
void unary_backward(Cpu, Unary op, T* dx, const T* dy, const T* kept, int64_t n);
template <class T>
void unary_backward(Cuda, Unary op, T* dx, const T* dy, const T* kept, int64_t n);

template <class T>
void affine(Cpu, T* y, const T* x, double factor, double offset, int64_t n);  // y = factor x + offset
template <class T>
void affine(Cuda, T* y, const T* x, double factor, double offset, int64_t n);
template <class T>
void scale_by(Cpu, T* y, const T* x, const Wide<T>* s, int64_t n);  // y = s[0] x
template <class T>
void scale_by(Cuda, T* y, const T* x, const Wide<T>* s, int64_t n);
template <class T>
void clamp_forward(Cpu, T* y, const T* x, double low, double high, int64_t n);
template <class T>
void clamp_forward(Cuda, T* y, const T* x, double low, double high, int64_t n);
template <class T>
void clamp_backward(Cpu, T* dx, const T* dy, const T* x, double low, double high, int64_t n);
template <class T>
void clamp_backward(Cuda, T* dx, const T* dy, const T* x, double low, double high, int64_t n);
template <class T>
void add_bias(Cpu, T* y, const T* x, const Wide<T>* bias, int64_t rows, int64_t channels);
template <class T>
void add_bias(Cuda, T* y, const T* x, const Wide<T>* bias, int64_t rows, int64_t channels);

// y = residual + gate x; x, y, residual (images, positions, channels), gate (images, channels).
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
