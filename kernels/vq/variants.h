// The kernels behind nearest_code on CUDA, by name. Both give the same indices.
//   naive   a warp a row, all distances in f64; the oracle of the other
//   tensor  z e^T on tensor cores with each factor in two halves of bf16
#pragma once
#include "kernels/vq/vq.h"

template <class T>
void nearest_code_naive(Cuda where, int64_t* index, const T* z, const float* codebook, int64_t rows,
                        int64_t codes, int64_t channels);
template <class T>
void nearest_code_tensor(Cuda where, int64_t* index, const T* z, const float* codebook, int64_t rows,
                         int64_t codes, int64_t channels);
