#include "kernels/attention/attention.h"

#include "engine/dry_run.h"
#include "engine/ops.h"

namespace dae {

namespace {

// Returns the multiplications and additions of the two products q k^T and p v. Pairs that the causal mask
// hides do not count.
double flops(const AttentionShape& s) {
  double pairs = 0;
  for (int64_t i = 0; i < s.queries; ++i) pairs += double(s.visible(i));
  return 4.0 * double(s.batch * s.heads * s.head_dim) * pairs;
}

// The three operands and where k and v begin in their tensors, in elements. In a packed projection q, k and v
// are one tensor, in which each token holds the three side by side.
struct Parts {
  Tensor q, k, v;
  int64_t k_offset = 0, v_offset = 0;
};

Tensor attend(const Parts& x, const std::vector<Tensor>& inputs, const AttentionShape& s) {
  Tensor y = x.q.like({s.batch, s.queries, s.heads * s.head_dim}),
         lse = x.q.like({s.batch, s.heads, s.queries}, wide(x.q.dtype()));
  count_flops(flops(s));
  dispatch(y, [&]<class T>(auto where) {
    attention_forward(where, y.data<T>(), lse.data<Wide<T>>(), x.q.data<T>(), x.k.data<T>() + x.k_offset,
                      x.v.data<T>() + x.v_offset, s);
  });
  const bool packed = inputs.size() == 1;
  return record("attention", y, inputs,
                [x = Parts{x.q.detach(), x.k.detach(), x.v.detach(), x.k_offset, x.v_offset}, y = y.detach(),
                 lse, s, packed](const Tensor& dy, const Needs&) -> Grads {
                  const Tensor dq = x.q.like(), dk = packed ? dq : x.k.like(), dv = packed ? dq : x.v.like();
                  count_flops(2.5 * flops(s));  // five products; one computes the scores again
                  dispatch(dy, [&]<class T>(auto where) {
                    attention_backward(where, dq.data<T>(), dk.data<T>() + x.k_offset,
                                       dv.data<T>() + x.v_offset, dy.data<T>(), y.data<T>(),
                                       lse.data<Wide<T>>(), x.q.data<T>(), x.k.data<T>() + x.k_offset,
                                       x.v.data<T>() + x.v_offset, s);
                  });
                  return packed ? Grads{dq} : Grads{dq, dk, dv};
                });
}

void check(const AttentionShape& s, int64_t channels) {
  if (s.heads < 1 || channels % s.heads)
    fail(Fault::internal, "attention: {} channels in {} heads", channels, s.heads);
  if (s.keys < 1 || (s.causal && s.queries > s.keys))
    fail(Fault::internal, "attention: {} queries of {} keys{}", s.queries, s.keys,
         s.causal ? ", causal" : "");
}

}  // namespace

Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o) {
  if (q.rank() != 3 || k.rank() != 3 || !(k.shape() == v.shape()) || q.dim(0) != k.dim(0) ||
      q.dim(2) != k.dim(2))
    fail(Fault::internal, "attention: expected (B, Tq, C), (B, Tk, C), (B, Tk, C), found {}, {}, {}",
         q.shape().str(), k.shape().str(), v.shape().str());
  const int64_t channels = q.dim(2);
  const AttentionShape s{q.dim(0), o.heads,  q.dim(1), k.dim(1),  channels / std::max<int64_t>(1, o.heads),
                         channels, channels, o.causal, o.unmasked};
  check(s, channels);
  return attend({q, k, v}, {q, k, v}, s);
}

Tensor attention(const Tensor& qkv, const AttentionOptions& o) {
  if (qkv.rank() != 3 || qkv.dim(2) % 3)
    fail(Fault::internal, "attention: expected (B, T, 3 C), found {}", qkv.shape().str());
  const int64_t channels = qkv.dim(2) / 3;
  const AttentionShape s{
      qkv.dim(0),   o.heads,      qkv.dim(1), qkv.dim(1), channels / std::max<int64_t>(1, o.heads),
      3 * channels, 3 * channels, o.causal,   o.unmasked};
  check(s, channels);
  return attend({qkv, qkv, qkv, channels, 2 * channels}, {qkv}, s);
}

}  // namespace dae
