// Rows of a table by index, and the index of the nearest row.
#pragma once
#include "kernels/device.h"

// y (rows, channels) = table (entries, channels) at index (rows)
template <class T>
void embedding_forward(Cpu, T* y, const T* table, const int64_t* index, int64_t rows, int64_t channels);
template <class T>
void embedding_forward(Cuda, T* y, const T* table, const int64_t* index, int64_t rows, int64_t channels);
// dtable: every entry written; rows with the same index are added in their order.
template <class T>
void embedding_backward(Cpu, T* dtable, const T* dy, const int64_t* index, int64_t rows, int64_t entries,
                        int64_t channels);
template <class T>
void embedding_backward(Cuda, Wide<T>* dtable, const T* dy, const int64_t* index, int64_t rows,
                        int64_t entries, int64_t channels);
// index[r] = argmin over k of |z_r - e_k|^2, summed in f64; the lowest k on ties. z (rows, channels), e
// (codes, channels)
template <class T>
void nearest_code(Cpu, int64_t* index, const T* z, const T* codebook, int64_t rows, int64_t codes,
                  int64_t channels);
template <class T>
void nearest_code(Cuda, int64_t* index, const T* z, const Wide<T>* codebook, int64_t rows, int64_t codes,
                  int64_t channels);
