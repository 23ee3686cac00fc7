// Attention as the formulas of attention.h read, with its shapes: the oracle of the other variants.
//   forward    a block takes one query of one head; its scores lie in shared memory
//   backward   for dq, a block takes one query; for dk and dv, a block takes one key
// Every block reads all keys (or queries) of its head again: 4 head_dim FLOP a score for 2 head_dim elements
// read. Not measured on a GPU.
#include "kernels/attention/variants.h"
#include "kernels/device/device.h"

namespace dae {

namespace {

constexpr int kThreads = 128;

template <class T>
__device__ float dot(const T* a, const T* b, int64_t n) {
  float sum = 0;
  for (int64_t c = 0; c < n; ++c) sum += float(a[c]) * float(b[c]);
  return sum;
}

template <class T>
__global__ void __launch_bounds__(kThreads) naive_forward(AttentionForward<T> a) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x / s.queries);
  const int64_t i = blockIdx.x % s.queries, width = s.heads * s.head_dim;
  const T *q = a.q + head.q + i * s.q_stride, *k = a.k + head.kv, *v = a.v + head.kv;
  const int keys = int(s.visible(i));
  DynamicShared memory;
  const Shared<float> p = memory.take<float>(keys);
  const float scale = rsqrtf(float(s.head_dim));
  float top = -INFINITY, total = 0;
  for (int j = int(threadIdx.x); j < keys; j += kThreads) {
    p[j] = scale * dot(q, k + j * s.kv_stride, s.head_dim);
    top = fmaxf(top, p[j]);
  }
  top = block_reduce(top, Maximum());
  for (int j = int(threadIdx.x); j < keys; j += kThreads) {
    p[j] = expf(p[j] - top);
    total += p[j];
  }
  total = block_reduce(total, Sum());
  __syncthreads();
  for (int c = int(threadIdx.x); c < s.head_dim; c += kThreads) {
    float sum = 0;
    for (int j = 0; j < keys; ++j) sum += p[j] * float(v[j * s.kv_stride + c]);
    a.y[head.y + i * width + c] = T(sum / total);
  }
  if (threadIdx.x == 0) a.lse[head.lse + i] = top + logf(total);
}

template <class T>
__global__ void __launch_bounds__(kThreads) naive_backward_q(AttentionBackward<T> a) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x / s.queries);
  const int64_t i = blockIdx.x % s.queries, width = s.heads * s.head_dim;
  const T *q = a.q + head.q + i * s.q_stride, *k = a.k + head.kv, *v = a.v + head.kv;
  const T *dy = a.dy + head.y + i * width, *y = a.y + head.y + i * width;
  const int keys = int(s.visible(i));
  DynamicShared memory;
  const Shared<float> ds = memory.take<float>(keys);
  const float scale = rsqrtf(float(s.head_dim)), lse = a.lse[head.lse + i], mean = dot(dy, y, s.head_dim);
  for (int j = int(threadIdx.x); j < keys; j += kThreads) {
    const float p = expf(scale * dot(q, k + j * s.kv_stride, s.head_dim) - lse);
    ds[j] = scale * p * (dot(dy, v + j * s.kv_stride, s.head_dim) - mean);
  }
  __syncthreads();
  for (int c = int(threadIdx.x); c < s.head_dim; c += kThreads) {
    float sum = 0;
    for (int j = 0; j < keys; ++j) sum += ds[j] * float(k[j * s.kv_stride + c]);
    a.dq[head.q + i * s.q_stride + c] = T(sum);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) naive_backward_kv(AttentionBackward<T> a) {
  const AttentionShape& s = a.shape;
  const AttentionHead head(s, blockIdx.x / s.keys);
  const int64_t j = blockIdx.x % s.keys, width = s.heads * s.head_dim, at = head.kv + j * s.kv_stride;
  const T *q = a.q + head.q, *k = a.k + at, *v = a.v + at, *dy = a.dy + head.y, *y = a.y + head.y;
  const int queries = int(s.queries);
  DynamicShared memory;
  const Shared<float> p = memory.take<float>(queries), ds = memory.take<float>(queries);
  const float scale = rsqrtf(float(s.head_dim));
  for (int i = int(threadIdx.x); i < queries; i += kThreads) {
    const T* dyi = dy + i * width;
    p[i] =
        j < s.visible(i) ? expf(scale * dot(q + i * s.q_stride, k, s.head_dim) - a.lse[head.lse + i]) : 0.0f;
    ds[i] = scale * p[i] * (dot(dyi, v, s.head_dim) - dot(dyi, y + i * width, s.head_dim));
  }
  __syncthreads();
  for (int c = int(threadIdx.x); c < s.head_dim; c += kThreads) {
    float dk = 0, dv = 0;
    for (int i = 0; i < queries; ++i) {
      dk += ds[i] * float(q[i * s.q_stride + c]);
      dv += p[i] * float(dy[i * width + c]);
    }
    a.dk[at + c] = T(dk), a.dv[at + c] = T(dv);
  }
}

}  // namespace

template <class T>
void attention_naive(Cuda where, const AttentionForward<T>& a) {
  const AttentionShape& s = a.shape;
  launch(where, "attention_naive_forward", naive_forward<T>, s.batch * s.heads * s.queries, kThreads,
         size_t(s.keys) * sizeof(float), a);
}
template <class T>
void attention_naive(Cuda where, const AttentionBackward<T>& a) {
  const AttentionShape& s = a.shape;
  launch(where, "attention_naive_backward_q", naive_backward_q<T>, s.batch * s.heads * s.queries, kThreads,
         size_t(s.keys) * sizeof(float), a);
  launch(where, "attention_naive_backward_kv", naive_backward_kv<T>, s.batch * s.heads * s.keys, kThreads,
         size_t(ceil_div(s.queries, 4) * 4) * 2 * sizeof(float), a);
}

#define INSTANTIATE(T)                                             \
  template void attention_naive(Cuda, const AttentionForward<T>&); \
  template void attention_naive(Cuda, const AttentionBackward<T>&);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
