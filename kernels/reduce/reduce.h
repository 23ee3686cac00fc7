// Sums in a fixed order: fixed blocks are added in order, so that any number of threads gives the same bits.
// The CPU accumulates in f64, CUDA in f32.
#pragma once
#include "kernels/device/device.h"

namespace dae {

// sum_forward writes y[0] = factor sum x.
template <class T>
void sum_forward(Cpu, T* y, const T* x, int64_t n, double factor);
template <class T>
void sum_forward(Cuda, Wide<T>* y, const T* x, int64_t n, double factor);
// sum_squares writes y[0] = sum x^2.
template <class T>
void sum_squares(Cpu, T* y, const T* x, int64_t n);
template <class T>
void sum_squares(Cuda, Wide<T>* y, const T* x, int64_t n);
// fill_scalar writes y[i] = factor value[0] for all i < n.
template <class T>
void fill_scalar(Cpu, T* y, const T* value, int64_t n, double factor);
template <class T>
void fill_scalar(Cuda, T* y, const Wide<T>* value, int64_t n, double factor);
// sum_last writes y (rows), the sums of the rows of x (rows, channels).
template <class T>
void sum_last(Cpu, T* y, const T* x, int64_t rows, int64_t channels);
template <class T>
void sum_last(Cuda, T* y, const T* x, int64_t rows, int64_t channels);
// spread_last writes y (rows, channels), where row r is filled with x[r]; x is (rows).
template <class T>
void spread_last(Cpu, T* y, const T* x, int64_t rows, int64_t channels);
template <class T>
void spread_last(Cuda, T* y, const T* x, int64_t rows, int64_t channels);
// sum_rows writes y (channels), the sums of the columns of x (rows, channels).
template <class T>
void sum_rows(Cpu, T* y, const T* x, int64_t rows, int64_t channels);
template <class T>
void sum_rows(Cuda, Wide<T>* y, const T* x, int64_t rows, int64_t channels);
// spread_rows writes y (rows, channels), where each row is a copy of x (channels).
template <class T>
void spread_rows(Cpu, T* y, const T* x, int64_t rows, int64_t channels);
template <class T>
void spread_rows(Cuda, T* y, const Wide<T>* x, int64_t rows, int64_t channels);

}  // namespace dae
