// Rows of a table by index.
#pragma once
#include "kernels/device.h"

// y (rows, channels) = table (entries, channels) at index (rows), which must be in [0, entries): Cuda reports
// one that is not (gpu.h).
template <class T>
void embedding_forward(Cpu, T* y, const T* table, const int64_t* index, int64_t rows, int64_t entries,
                       int64_t channels);
template <class T>
void embedding_forward(Cuda, T* y, const T* table, const int64_t* index, int64_t rows, int64_t entries,
                       int64_t channels);
// dtable: every entry written; rows with the same index are added in their order.
template <class T>
void embedding_backward(Cpu, T* dtable, const T* dy, const int64_t* index, int64_t rows, int64_t entries,
                        int64_t channels);
template <class T>
void embedding_backward(Cuda, Wide<T>* dtable, const T* dy, const int64_t* index, int64_t rows,
                        int64_t entries, int64_t channels);
