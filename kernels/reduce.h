// Sums, in fixed blocks added in order and accumulated in f64: the same bits for any number of threads.
#pragma once
#include "kernels/device.h"

template <class T>
void sum_forward(Cpu, T* y, const T* x, int64_t n, double factor);  // y[0] = factor sum x
template <class T>
void sum_forward(Cuda, Wide<T>* y, const T* x, int64_t n, double factor);
template <class T>
void sum_squares(Cpu, T* y, const T* x, int64_t n);  // y[0] = sum x^2
template <class T>
void sum_squares(Cuda, Wide<T>* y, const T* x, int64_t n);
template <class T>
void fill_scalar(Cpu, T* y, const T* value, int64_t n, double factor);  // y = factor value[0]
template <class T>
void fill_scalar(Cuda, T* y, const Wide<T>* value, int64_t n, double factor);
template <class T>
void sum_last(Cpu, T* y, const T* x, int64_t rows, int64_t channels);  // (rows, channels) -> (rows)
template <class T>
void sum_last(Cuda, T* y, const T* x, int64_t rows, int64_t channels);
template <class T>
void spread_last(Cpu, T* y, const T* x, int64_t rows, int64_t channels);  // and back
template <class T>
void spread_last(Cuda, T* y, const T* x, int64_t rows, int64_t channels);
template <class T>
void sum_rows(Cpu, T* y, const T* x, int64_t rows, int64_t channels);  // -> (channels)
template <class T>
void sum_rows(Cuda, Wide<T>* y, const T* x, int64_t rows, int64_t channels);
template <class T>
void spread_rows(Cpu, T* y, const T* x, int64_t rows, int64_t channels);
template <class T>
void spread_rows(Cuda, T* y, const Wide<T>* x, int64_t rows, int64_t channels);
