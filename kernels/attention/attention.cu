// The CUDA functions of attention.h: each runs the variant that kernels/variants.h chooses, or one given by
// the caller.
#include "kernels/attention/attention.h"
#include "kernels/device/device.h"
#include "kernels/variants.h"

namespace dae {

template <class Call>
bool attention_takes(AttentionVariant variant, Cuda where, const Call& call) {
  using T = std::remove_const_t<std::remove_pointer_t<decltype(call.q)>>;
  const auto fits = [&](int64_t bytes) { return bytes + kAttentionOwnShared <= shared_memory_limit(where); };
  if constexpr (!std::is_same_v<T, float>) {
    if (variant == AttentionVariant::tiled)
      return attention_tiled_takes(call.shape) && fits(attention_tiled_shared(call));
    if (variant == AttentionVariant::whole)
      return attention_whole_takes(call.shape) && fits(attention_whole_shared(call));
  }
  if (variant == AttentionVariant::blocks)
    return attention_blocks_takes<T>(call.shape) && fits(attention_blocks_shared(call));
  return variant == AttentionVariant::naive;
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

template <class Call, class List>
void run(Cuda where, const Call& call, const List& list) {
  attention_by(choose(list, call.shape, [&](auto v) { return attention_takes(v, where, call); }), where,
               call);
}

}  // namespace

template <class T>
void attention_forward(Cuda where, T* y, Wide<T>* lse, const T* q, const T* k, const T* v,
                       const AttentionShape& shape) {
  run(where, AttentionForward<T>{y, lse, q, k, v, shape}, defaults::kAttentionForward);
}
template <class T>
void attention_backward(Cuda where, T* dq, T* dk, T* dv, const T* dy, const T* y, const Wide<T>* lse,
                        const T* q, const T* k, const T* v, const AttentionShape& shape) {
  run(where, AttentionBackward<T>{dq, dk, dv, dy, y, lse, q, k, v, shape}, defaults::kAttentionBackward);
}

#define INSTANTIATE(T)                                                                                       \
  template bool attention_takes(AttentionVariant, Cuda, const AttentionForward<T>&);                         \
  template bool attention_takes(AttentionVariant, Cuda, const AttentionBackward<T>&);                        \
  template void attention_by(AttentionVariant, Cuda, const AttentionForward<T>&);                            \
  template void attention_by(AttentionVariant, Cuda, const AttentionBackward<T>&);                           \
  template void attention_forward(Cuda, T*, Wide<T>*, const T*, const T*, const T*, const AttentionShape&);  \
  template void attention_backward(Cuda, T*, T*, T*, const T*, const T*, const Wide<T>*, const T*, const T*, \
                                   const T*, const AttentionShape&);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
