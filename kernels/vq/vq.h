// Vector quantisation: the nearest row of a codebook for each row of z (van den Oord et al. 2017). The matrix
// of (rows, codes) distances is never stored. kernels/lookup/lookup.h reads codebook rows by index and computes
// their gradient.
#pragma once
#include "kernels/device/device.h"

namespace dae {

// Writes index[r] = argmin over k of |z_r - e_k|^2, the lowest k on ties, for z (rows, channels) and e
// (codes, channels). The distance is the sum in f64 over the channels in order, with fused multiply-adds. A
// fast matrix product finds, for each row, the codes whose |e|^2 - 2 z e is within its rounding error of the
// smallest; the distances decide among them.
template <class T>
void nearest_code(Cpu, int64_t* index, const T* z, const Wide<T>* codebook, int64_t rows, int64_t codes,
                  int64_t channels);
template <class T>
void nearest_code(Cuda, int64_t* index, const T* z, const Wide<T>* codebook, int64_t rows, int64_t codes,
                  int64_t channels);

// Writes count (codes): how often each code is in index (n). Every index must be in [0, codes); Cuda reports
// one that is not (gpu.h).
void code_usage(Cpu, int64_t* count, const int64_t* index, int64_t n, int64_t codes);
void code_usage(Cuda, int64_t* count, const int64_t* index, int64_t n, int64_t codes);

}  // namespace dae
