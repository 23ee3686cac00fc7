// Constant fills and changes of the element type. On the CPU T, To and From are float, double, bf16, f16 or
// int64_t, on Cuda float, bf16 or f16. To an integer: towards zero; to 16 bits: to nearest even.
#pragma once
#include "kernels/device.h"

template <class T>
void fill(Cpu, T* y, double value, int64_t n);
template <class T>
void fill(Cuda, T* y, double value, int64_t n);

template <class To, class From>
void convert(Cpu, To* y, const From* x, int64_t n);
template <class To, class From>
void convert(Cuda, To* y, const From* x, int64_t n);
