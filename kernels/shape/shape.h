// Copies and permutations of elements.
#pragma once
#include "kernels/device/device.h"

namespace dae {

// Copies `count` entries of the middle axis of x (outer, from, inner), from `x_begin` on, to y (outer, to,
// inner), from `y_begin` on.
template <class T>
void copy_axis(Cpu, T* y, int64_t to, int64_t y_begin, const T* x, int64_t from, int64_t x_begin,
               int64_t count, int64_t outer, int64_t inner);
template <class T>
void copy_axis(Cuda, T* y, int64_t to, int64_t y_begin, const T* x, int64_t from, int64_t x_begin,
               int64_t count, int64_t outer, int64_t inner);
// Writes y, whose dimension i is x's dimension order[i]. `dims` are the sizes of x. Both are contiguous.
template <class T>
void permute(Cpu, T* y, const T* x, const int64_t* dims, const int* order, int rank);
template <class T>
void permute(Cuda, T* y, const T* x, const int64_t* dims, const int* order, int rank);

}  // namespace dae
