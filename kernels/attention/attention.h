// Attention (Vaswani et al. 2017, equation 1), for each image and each head:
//   y = softmax(q k^T / sqrt(head_dim)) v
//   q, y   (batch, queries, heads, head_dim)
//   k, v   (batch, keys, heads, head_dim)
//   lse    (batch, heads, queries), log(sum_j e^(q k_j / sqrt(head_dim))), kept for the backward pass
// q advances by q_stride elements from one token to the next, k and v by kv_stride, so that the parts of a
// packed projection (batch, tokens, 3, heads, head_dim) are read in place. y is contiguous. A gradient has
// the layout of its tensor.
//
// The backward pass recomputes the scores block by block. With p = e^(score - lse), dp = dy v^T and
// D = sum(dy y):
//   dv = p^T dy
//   ds = p (dp - D) / sqrt(head_dim)
//   dq = ds k
//   dk = ds^T q
#pragma once
#include <cstdint>

#include "kernels/device/device.h"
#include "kernels/device/host_device.h"

namespace dae {

// The sizes and the token strides (in elements) of one call.
struct AttentionShape {
  int64_t batch, heads, queries, keys, head_dim, q_stride, kv_stride;
  bool causal = false;   // query i has the position keys - queries + i and sees no later position
  int64_t unmasked = 0;  // exception: the first `unmasked` positions see each other

  // Returns how many keys query i sees. These are the first keys; a later query sees at least as many.
  HOST_DEVICE int64_t visible(int64_t i) const {
    if (!causal) return keys;
    const int64_t position = keys - queries + i;
    if (position >= unmasked) return position + 1;
    return unmasked < keys ? unmasked : keys;
  }
};

// The offsets, in elements, at which a head of an image begins; `index` counts image * heads + head.
struct AttentionHead {
  int64_t q, kv, y, lse;
  HOST_DEVICE AttentionHead(const AttentionShape& s, int64_t index) {
    const int64_t image = index / s.heads, offset = index % s.heads * s.head_dim;
    q = image * s.queries * s.q_stride + offset, kv = image * s.keys * s.kv_stride + offset;
    y = image * s.queries * s.heads * s.head_dim + offset, lse = index * s.queries;
  }
};

// Writes y and lse.
template <class T>
void attention_forward(Cpu, T* y, Wide<T>* lse, const T* q, const T* k, const T* v,
                       const AttentionShape& shape);
template <class T>
void attention_forward(Cuda, T* y, Wide<T>* lse, const T* q, const T* k, const T* v,
                       const AttentionShape& shape);
// Writes dq, dk and dv. y and lse are the results of attention_forward.
template <class T>
void attention_backward(Cpu, T* dq, T* dk, T* dv, const T* dy, const T* y, const Wide<T>* lse, const T* q,
                        const T* k, const T* v, const AttentionShape& shape);
template <class T>
void attention_backward(Cuda, T* dq, T* dk, T* dv, const T* dy, const T* y, const Wide<T>* lse, const T* q,
                        const T* k, const T* v, const AttentionShape& shape);

}  // namespace dae
