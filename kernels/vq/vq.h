// Vector quantisation: the nearest row of a codebook for each row of z (van den Oord et al. 2017). The
// rows x codes distances are never stored. Codebook rows by index and their gradient: kernels/lookup.h.
#pragma once
#include "kernels/device.h"

// index[r] = argmin over k of |z_r - e_k|^2, the lowest k on ties; z (rows, channels), e (codes, channels).
// The distances meant are those summed in f64 over the channels in order, with fused multiply-adds. A fast
// product finds for each row the codes within its rounding error of the smallest |e|^2 - 2 z e, and only
// these distances are summed.
template <class T>
void nearest_code(Cpu, int64_t* index, const T* z, const Wide<T>* codebook, int64_t rows, int64_t codes,
                  int64_t channels);
template <class T>
void nearest_code(Cuda, int64_t* index, const T* z, const Wide<T>* codebook, int64_t rows, int64_t codes,
                  int64_t channels);

// count[k] = how often k is in index (n), which must be in [0, codes): Cuda reports one that is not (gpu.h);
// count (codes).
void code_usage(Cpu, int64_t* count, const int64_t* index, int64_t n, int64_t codes);
void code_usage(Cuda, int64_t* count, const int64_t* index, int64_t n, int64_t codes);
