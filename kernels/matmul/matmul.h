// y = op(a) op(b) + beta y, over matrices that are row-major and contiguous.
// y (m, n); op(a) (m, k), stored (k, m) with transpose_a; op(b) (k, n), stored (n, k) with transpose_b.
// beta = 0 never reads y. The batched one has y (batch, m, n) and a, b alike.
#pragma once
#include <cstdint>

#include "kernels/act.h"
#include "kernels/device.h"

template <class T>
void matmul(Cpu, T* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta = 0);
template <class Y, class T>  // Y: T, or float beside bf16 and f16
void matmul(Cuda, Y* y, const T* a, const T* b, int64_t m, int64_t n, int64_t k, bool transpose_a,
            bool transpose_b, double beta = 0);

template <class T>
void batched_matmul(Cpu, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b);
template <class T>
void batched_matmul(Cuda, T* y, const T* a, const T* b, int64_t batch, int64_t m, int64_t n, int64_t k,
                    bool transpose_a, bool transpose_b);

// What becomes of p = x w^T before it is written, without another pass over it:
//   u = p + bias;  y = residual + gate act(u)
// where what is null is left out. y, argument, residual (rows, out); bias (out); gate (rows / positions,
// out).
template <class T>
struct Epilogue {
  const Wide<T>* bias = nullptr;
  Act act = Act::none;
  T* argument = nullptr;  // if not null, u is kept there for the backward pass
  const T* residual = nullptr;
  const T* gate = nullptr;
  int64_t positions = 1;  // rows that share a gate: the tokens of an image
};

// y (rows, out) from x (rows, in) and w (out, in).
template <class T>
void linear_forward(Cpu, T* y, const T* x, const T* w, int64_t rows, int64_t out, int64_t in,
                    const Epilogue<T>& epilogue);
template <class T>
void linear_forward(Cuda, T* y, const T* x, const T* w, int64_t rows, int64_t out, int64_t in,
                    const Epilogue<T>& epilogue);
// du = dy act'(u) and dbias = its sum over rows, unless null. kept: y for relu and leaky_relu, else u.
template <class T>
void linear_act_backward(Cpu, T* du, T* dbias, const T* dy, const T* kept, int64_t rows, int64_t out,
                         Act act);
template <class T>
void linear_act_backward(Cuda, T* du, Wide<T>* dbias, const T* dy, const T* kept, int64_t rows, int64_t out,
                         Act act);
inline bool keeps_argument(Act act) { return act > Act::leaky_relu; }
