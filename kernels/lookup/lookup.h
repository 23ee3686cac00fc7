// Rows of a table by index, and their gradient.
#pragma once
#include "kernels/device/device.h"

namespace dae {

// Writes y (rows, channels), the entries of table (entries, channels) at index (rows). Every index must be in
// [0, entries); Cuda reports one that is not (gpu.h).
template <class T>
void embedding_forward(Cpu, T* y, const T* table, const int64_t* index, int64_t rows, int64_t entries,
                       int64_t channels);
template <class T>
void embedding_forward(Cuda, T* y, const T* table, const int64_t* index, int64_t rows, int64_t entries,
                       int64_t channels);
// Writes every entry of dtable (entries, channels). Rows of dy with the same index are added in a fixed
// order.
template <class T>
void embedding_backward(Cpu, T* dtable, const T* dy, const int64_t* index, int64_t rows, int64_t entries,
                        int64_t channels);
template <class T>
void embedding_backward(Cuda, Wide<T>* dtable, const T* dy, const int64_t* index, int64_t rows,
                        int64_t entries, int64_t channels);

}  // namespace dae
