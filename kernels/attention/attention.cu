#include "kernels/attention/attention.h"
#include "kernels/attention/variants.h"
#include "kernels/device.h"

namespace {

// Which variant is the default: the first that takes the shape. By bytes and FLOP; no order was measured.
template <class T, class Arguments>
void run(Cuda where, const Arguments& a) {
  if constexpr (!std::is_same_v<T, float>)
    if (attention_tiled_takes(a.shape)) return attention_tiled(where, a);
  if (attention_blocks_takes<T>(a.shape)) return attention_blocks(where, a);
  attention_naive(where, a);
}

}  // namespace

template <class T>
void attention_forward(Cuda where, T* y, Wide<T>* lse, const T* q, const T* k, const T* v,
                       const AttentionShape& shape) {
  run<T>(where, AttentionForward<T>{y, lse, q, k, v, shape});
}
template <class T>
void attention_backward(Cuda where, T* dq, T* dk, T* dv, const T* dy, const T* y, const Wide<T>* lse,
                        const T* q, const T* k, const T* v, const AttentionShape& shape) {
  run<T>(where, AttentionBackward<T>{dq, dk, dv, dy, y, lse, q, k, v, shape});
}

#define INSTANTIATE(T)                                                                                       \
  template void attention_forward(Cuda, T*, Wide<T>*, const T*, const T*, const T*, const AttentionShape&);  \
  template void attention_backward(Cuda, T*, T*, T*, const T*, const T*, const Wide<T>*, const T*, const T*, \
                                   const T*, const AttentionShape&);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
