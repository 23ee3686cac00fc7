// Attention: y = softmax(q k^T / sqrt(d)) v, by image and head (Vaswani et al. 2017).
// q, y: (batch, queries, heads, head_dim); k, v: (batch, keys, heads, head_dim). From one token to the next,
// q is q_stride and k, v are kv_stride elements on, so that the parts of a packed projection (batch, tokens,
// 3, heads, head_dim) are read in place; y is contiguous. Gradients lie as what they are of. Backward keeps y
// and lse = log(sum_j e^(q k_j / sqrt(d))), (batch, heads, queries), and recomputes the scores block by
// block: with p = e^(score - lse), dp = dy v^T, D = sum(dy y):
//   dv = p^T dy, ds = p (dp - D) / sqrt(d), dq = ds k, dk = ds^T q.
#pragma once
#include <cstdint>

#include "kernels/device.h"
#include "kernels/host_device.h"

struct AttentionShape {
  int64_t batch, heads, queries, keys, head_dim, q_stride, kv_stride;
  bool causal = false;   // query i stands at position keys - queries + i and sees no later one
  int64_t unmasked = 0;  // but the first `unmasked` positions see each other

  // How many keys query i sees; they are the first ones, and a later query sees no fewer.
  HOST_DEVICE int64_t visible(int64_t i) const {
    if (!causal) return keys;
    const int64_t position = keys - queries + i;
    if (position >= unmasked) return position + 1;
    return unmasked < keys ? unmasked : keys;
  }
};

// Where image and head `index` begin, in elements.
struct AttentionHead {
  int64_t q, kv, y, lse;
  HOST_DEVICE AttentionHead(const AttentionShape& s, int64_t index) {
    const int64_t image = index / s.heads, offset = index % s.heads * s.head_dim;
    q = image * s.queries * s.q_stride + offset, kv = image * s.keys * s.kv_stride + offset;
    y = image * s.queries * s.heads * s.head_dim + offset, lse = index * s.queries;
  }
};

template <class T>
void attention_forward(Cpu, T* y, Wide<T>* lse, const T* q, const T* k, const T* v,
                       const AttentionShape& shape);
template <class T>
void attention_forward(Cuda, T* y, Wide<T>* lse, const T* q, const T* k, const T* v,
                       const AttentionShape& shape);
template <class T>
void attention_backward(Cpu, T* dq, T* dk, T* dv, const T* dy, const T* y, const Wide<T>* lse, const T* q,
                        const T* k, const T* v, const AttentionShape& shape);
template <class T>
void attention_backward(Cuda, T* dq, T* dk, T* dv, const T* dy, const T* y, const Wide<T>* lse, const T* q,
                        const T* k, const T* v, const AttentionShape& shape);
