// Matrix products over row-major, contiguous matrices: y = op(a) op(b) + beta y.
//   y      (m, n)
//   op(a)  (m, k); a is stored (k, m) with transpose_a
//   op(b)  (k, n); b is stored (n, k) with transpose_b
// beta = 0 never reads y. batched_matmul multiplies `batch` such matrices: y is (batch, m, n), a and b alike.
#pragma once
#include <cstdint>

#include "kernels/activation/act.h"
#include "kernels/device/device.h"

namespace dae {

template <class T>
void matmul(Cpu, T* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta = 0);
template <class Y, class T>  // Y is T; for bf16 and f16 it may also be float
void matmul(Cuda, Y* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta = 0);

template <class T>
void batched_matmul(Cpu, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b);
template <class T>
void batched_matmul(Cuda, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b);

// The end of a linear layer: what is done to p = x w^T before it is written, without another pass over it:
//   u = p + bias
//   y = residual + gate act(u)
// A null pointer leaves its term out. y, argument and residual are (rows, out), bias is (out), gate is
// (rows / positions, out).
template <class T>
struct Epilogue {
  const Wide<T>* bias = nullptr;
  Act act = Act::none;
  T* argument = nullptr;  // if not null, receives u for the backward pass
  const T* residual = nullptr;
  const T* gate = nullptr;
  int64_t positions = 1;  // the number of consecutive rows that share a gate: the tokens of an image
};

// Writes y (rows, out) = epilogue of x w^T, for x (rows, in) and w (out, in).
template <class T>
void linear_forward(Cpu, T* y, const T* x, const T* w, int64_t rows, int64_t out, int64_t in,
                    const Epilogue<T>& epilogue);
template <class T>
void linear_forward(Cuda, T* y, const T* x, const T* w, int64_t rows, int64_t out, int64_t in,
                    const Epilogue<T>& epilogue);
// Writes du = dy act'(u), (rows, out), and dbias (out), its sum over the rows, unless dbias is null. `kept`
// is y for relu and leaky_relu, otherwise u.
template <class T>
void linear_act_backward(Cpu, T* du, T* dbias, const T* dy, const T* kept, int64_t rows, int64_t out,
                         Act act);
template <class T>
void linear_act_backward(Cuda, T* du, Wide<T>* dbias, const T* dy, const T* kept, int64_t rows, int64_t out,
                         Act act);
// Returns whether linear_act_backward takes u as `kept`.
inline bool keeps_argument(Act act) { return act > Act::leaky_relu; }

}  // namespace dae
