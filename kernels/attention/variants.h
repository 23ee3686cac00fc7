// The kernels behind attention_forward and attention_backward on CUDA, by name, for kernels/variants.h, tests
// and benchmarks. All give the same result up to rounding.
//   naive    any type and head_dim. A block takes one query (in the backward pass a query, then a key). The
//            oracle of the others.
//   blocks   scores in shared memory. head_dim is a multiple of 16 bytes: f32 up to 256, by fused
//            multiply-adds; bf16 and f16 up to 512, on tensor cores.
//   tiled    bf16 and f16 on tensor cores, scores in registers. head_dim is a multiple of 8 up to 128. One
//            block takes a whole head of up to 256 tokens, or 128 if head_dim > 64.
//   whole    as tiled, for up to 256 tokens, with all keys and values of a head in shared memory.
#pragma once
#include "kernels/attention/attention.h"

namespace dae {

enum class AttentionVariant { naive, blocks, tiled, whole };
inline constexpr AttentionVariant kAttentionVariants[] = {AttentionVariant::naive, AttentionVariant::blocks,
                                                          AttentionVariant::tiled, AttentionVariant::whole};
inline const char* name(AttentionVariant v) {
  constexpr const char* kNames[] = {"naive", "blocks", "tiled", "whole"};
  return kNames[int(v)];
}

// The arguments of attention_forward and attention_backward.
template <class T>
struct AttentionForward {
  T* y = nullptr;
  float* lse = nullptr;
  const T *q = nullptr, *k = nullptr, *v = nullptr;
  AttentionShape shape;
};
template <class T>
struct AttentionBackward {
  T *dq = nullptr, *dk = nullptr, *dv = nullptr;
  const T *dy = nullptr, *y = nullptr;
  const float* lse = nullptr;
  const T *q = nullptr, *k = nullptr, *v = nullptr;
  AttentionShape shape;
};

constexpr int64_t kAttentionOwnShared = 2048;  // the most bytes of a kernel's own arrays (SHARED)

// attention_takes returns whether a variant can run a call on this device: attention_..._takes decides by the
// shape, attention_..._shared gives the dynamic shared memory (bytes) of the largest block. attention_by runs
// the call by that variant. Call is AttentionForward<T> or AttentionBackward<T>.
template <class Call>
bool attention_takes(AttentionVariant variant, Cuda where, const Call& call);
template <class Call>
void attention_by(AttentionVariant variant, Cuda where, const Call& call);

template <class T>
void attention_naive(Cuda where, const AttentionForward<T>& a);
template <class T>
void attention_naive(Cuda where, const AttentionBackward<T>& a);

bool attention_tiled_takes(const AttentionShape& s);
template <class T>
int64_t attention_tiled_shared(const AttentionForward<T>& a);
template <class T>
int64_t attention_tiled_shared(const AttentionBackward<T>& a);
template <class T>
void attention_tiled(Cuda where, const AttentionForward<T>& a);
template <class T>
void attention_tiled(Cuda where, const AttentionBackward<T>& a);

template <class T>
bool attention_blocks_takes(const AttentionShape& s);
template <class T>
int64_t attention_blocks_shared(const AttentionForward<T>& a);
template <class T>
int64_t attention_blocks_shared(const AttentionBackward<T>& a);
template <class T>
void attention_blocks(Cuda where, const AttentionForward<T>& a);
template <class T>
void attention_blocks(Cuda where, const AttentionBackward<T>& a);

bool attention_whole_takes(const AttentionShape& s);
template <class T>
int64_t attention_whole_shared(const AttentionForward<T>& a);
template <class T>
int64_t attention_whole_shared(const AttentionBackward<T>& a);
template <class T>
void attention_whole(Cuda where, const AttentionForward<T>& a);
template <class T>
void attention_whole(Cuda where, const AttentionBackward<T>& a);

}  // namespace dae
