// The calls of attention.h on CUDA: by a variant of choice, and by that which kernels/defaults.h lists first.
#include "kernels/attention/attention.h"
#include "kernels/defaults.h"

template <class T>
bool attention_takes(AttentionVariant variant, const AttentionShape& s) {
  if (variant == AttentionVariant::naive) return true;
  if (variant == AttentionVariant::blocks) return attention_blocks_takes<T>(s);
  if (std::is_same_v<T, float>) return false;
  return variant == AttentionVariant::whole ? attention_whole_takes(s) : attention_tiled_takes(s);
}
template <class Call>
void attention_by(AttentionVariant variant, Cuda where, const Call& call) {
  if constexpr (!std::is_same_v<decltype(call.q), const float*>) {
    if (variant == AttentionVariant::tiled) return attention_tiled(where, call);
    if (variant == AttentionVariant::whole) return attention_whole(where, call);
  }
  if (variant == AttentionVariant::blocks) attention_blocks(where, call);
  else attention_naive(where, call);
}

namespace {

template <class T, class Call, class List>
void run(Cuda where, const Call& call, const List& list) {
  attention_by(choose(list, call.shape, [&](auto v) { return attention_takes<T>(v, call.shape); }), where,
               call);
}

}  // namespace

template <class T>
void attention_forward(Cuda where, T* y, Wide<T>* lse, const T* q, const T* k, const T* v,
                       const AttentionShape& shape) {
  run<T>(where, AttentionForward<T>{y, lse, q, k, v, shape}, defaults::kAttentionForward);
}
template <class T>
void attention_backward(Cuda where, T* dq, T* dk, T* dv, const T* dy, const T* y, const Wide<T>* lse,
                        const T* q, const T* k, const T* v, const AttentionShape& shape) {
  run<T>(where, AttentionBackward<T>{dq, dk, dv, dy, y, lse, q, k, v, shape}, defaults::kAttentionBackward);
}

#define INSTANTIATE(T)                                                                                       \
  template bool attention_takes<T>(AttentionVariant, const AttentionShape&);                                 \
  template void attention_by(AttentionVariant, Cuda, const AttentionForward<T>&);                            \
  template void attention_by(AttentionVariant, Cuda, const AttentionBackward<T>&);                           \
  template void attention_forward(Cuda, T*, Wide<T>*, const T*, const T*, const T*, const AttentionShape&);  \
  template void attention_backward(Cuda, T*, T*, T*, const T*, const T*, const Wide<T>*, const T*, const T*, \
                                   const T*, const AttentionShape&);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
