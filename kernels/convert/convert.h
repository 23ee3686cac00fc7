// Constant fills and conversions of the element type. All arrays are (n).
//   fill      y[i] = value
//   convert   y[i] = x[i], converted
// T, To and From are float, double, bf16, f16 or int64_t on the CPU, and float, bf16 or f16 on CUDA.
// Conversion to an integer rounds towards zero; conversion to a 16-bit type rounds to nearest, ties to even.
#pragma once
#include "kernels/device/device.h"

namespace dae {

template <class T>
void fill(Cpu, T* y, double value, int64_t n);
template <class T>
void fill(Cuda, T* y, double value, int64_t n);

template <class To, class From>
void convert(Cpu, To* y, const From* x, int64_t n);
template <class To, class From>
void convert(Cuda, To* y, const From* x, int64_t n);

}  // namespace dae
