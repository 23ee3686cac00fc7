// Softmax over each row of (rows, channels), and cross-entropy:
//   y    = e^(x - max) / sum e^(x - max)
//   loss = mean over rows of -log softmax(logits)[label]
#pragma once
#include "kernels/device/device.h"

namespace dae {

// Writes y, the softmax of x.
template <class T>
void softmax_forward(Cpu, T* y, const T* x, int64_t rows, int64_t channels);
template <class T>
void softmax_forward(Cuda, T* y, const T* x, int64_t rows, int64_t channels);
// Writes dx = y (dy - sum(dy y)).
template <class T>
void softmax_backward(Cpu, T* dx, const T* dy, const T* y, int64_t rows, int64_t channels);
template <class T>
void softmax_backward(Cuda, T* dx, const T* dy, const T* y, int64_t rows, int64_t channels);
// Writes loss (1) and probability (rows, channels), the softmax of logits (rows, channels), for label (rows)
// in [0, channels).
template <class T>
void cross_entropy_forward(Cpu, Wide<T>* loss, T* probability, const T* logits, const int64_t* label,
                           int64_t rows, int64_t channels);
template <class T>
void cross_entropy_forward(Cuda, Wide<T>* loss, T* probability, const T* logits, const int64_t* label,
                           int64_t rows, int64_t channels);
// Writes dlogits = dloss / rows (probability - [c = label]).
template <class T>
void cross_entropy_backward(Cpu, T* dlogits, const Wide<T>* dloss, const T* probability, const int64_t* label,
                            int64_t rows, int64_t channels);
template <class T>
void cross_entropy_backward(Cuda, T* dlogits, const Wide<T>* dloss, const T* probability,
                            const int64_t* label, int64_t rows, int64_t channels);

}  // namespace dae
