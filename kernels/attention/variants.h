// The kernels behind attention_forward and attention_backward on CUDA, by name, for kernels/defaults.h, tests
// and benchmarks. All give the same result up to rounding.
//   naive  a block a query (backward: a query, then a key); any head_dim; the oracle of the others
//   tiled  tensor cores, scores in registers; head_dim a multiple of 8, at most 128; bf16, f16. One block a
//   head
//          (the whole sequence) for up to 256 tokens, 128 where head_dim > 64
//   whole  the same for up to 256 tokens, with all keys and values of a head in shared memory
//   blocks scores in shared memory; head_dim a multiple of 16 bytes: f32 at most 256, by FMA; bf16 and f16 at
//   most
//          512, on tensor cores
#pragma once
#include "kernels/attention/attention.h"

enum class AttentionVariant { naive, blocks, tiled, whole };
inline constexpr AttentionVariant kAttentionVariants[] = {AttentionVariant::naive, AttentionVariant::blocks,
                                                          AttentionVariant::tiled, AttentionVariant::whole};
inline const char* name(AttentionVariant v) {
  constexpr const char* kNames[] = {"naive", "blocks", "tiled", "whole"};
  return kNames[int(v)];
}

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

constexpr int64_t kAttentionOwnShared = 2048;  // bytes of a kernel's own arrays (SHARED), at most

// Whether a variant takes a call on this device, by its shape (attention_..._takes) and by the dynamic shared
// memory of its largest block (attention_..._shared, bytes); and the call by it. Call: AttentionForward<T> or
// AttentionBackward<T>.
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
