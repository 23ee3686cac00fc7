// Losses that end in one number, and their gradients (formulas and shapes: loss.h). The forward passes use
// map_sum (ordered_sums.cuh) and read each input once; the backward passes use map (map.cuh), 16 bytes a thread. One pass
// draws a Gaussian and sums its KL, and one pass makes its gradients; the noise is never stored in memory
// unless it is given. Not measured on a GPU yet.
// Limited by memory: n or 2 n elements forward, 2 n to 4 n backward; for a Gaussian 3 n and 5 n.
#include "kernels/activation/formulas.h"
#include "kernels/cuda/ordered_sums.cuh"
#include "kernels/loss/loss.h"

namespace dae {

namespace {

__device__ inline float softplus_of(float x) { return (x < 0 ? 0.0f : x) + log1pf(expf(-fabsf(x))); }

// Writes elements i to i + size - 1 of eps, or draws them.
template <class T>
__device__ inline void noise_at(float (&noise)[Pack<T>::size], const T* eps, Key key, int64_t i, int size,
                                bool whole) {
  constexpr int kSize = Pack<T>::size;
  if (eps) {
    const Pack<T> given = load_part(eps + i, size, whole);
#pragma unroll
    for (int e = 0; e < kSize; ++e) noise[e] = float(given.v[e]);
  } else {
#pragma unroll
    for (int e = 0; e < kSize; e += 4) {
      float four[4];
      normal4(random4(now(key), uint64_t(i + e) / 4), four);
#pragma unroll
      for (int j = 0; j < 4; ++j) noise[e + j] = four[j];
    }
  }
}

template <class T>
__global__ void __launch_bounds__(256) sample_normal_kernel(T* z, float* sums, const T* mu, const T* logvar,
                                                            const T* eps, Key key, int64_t n, bool aligned) {
  constexpr int kSize = Pack<T>::size;
  const int64_t stride = int64_t(gridDim.x) * blockDim.x * kSize;
  float sum = 0;
  for (int64_t i = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kSize; i < n; i += stride) {
    const int size = int(min(int64_t(kSize), n - i));
    const bool whole = aligned && size == kSize;
    const Pack<T> m = load_part(mu + i, size, whole), v = load_part(logvar + i, size, whole);
    float noise[kSize];
    noise_at(noise, eps, key, i, size, whole);
    Pack<T> out;
#pragma unroll
    for (int e = 0; e < kSize; ++e) {
      const float mean = float(m.v[e]), log_variance = float(v.v[e]);
      out.v[e] = T(mean + expf(0.5f * log_variance) * noise[e]);
      sum += e < size ? mean * mean + expf(log_variance) - 1 - log_variance : 0.0f;
    }
    store_part(z + i, out, size, whole);
  }
  sum = block_reduce(sum, Sum());
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <class T>
__global__ void __launch_bounds__(256)
    sample_normal_backward_kernel(T* dmu, T* dlogvar, const T* dz, const float* dkl, const T* mu,
                                  const T* logvar, const T* eps, Key key, int64_t n, float share,
                                  bool aligned) {
  constexpr int kSize = Pack<T>::size;
  const int64_t i = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kSize;
  if (i >= n) return;
  const int size = int(min(int64_t(kSize), n - i));
  const bool whole = aligned && size == kSize;
  const float g = dkl ? dkl[0] * share : 0.0f;
  const Pack<T> m = load_part(mu + i, size, whole), v = load_part(logvar + i, size, whole);
  Pack<T> of_z{}, of_mu, of_logvar;
  if (dz) of_z = load_part(dz + i, size, whole);
  float noise[kSize];
  noise_at(noise, eps, key, i, size, whole);
#pragma unroll
  for (int e = 0; e < kSize; ++e) {
    const float d = dz ? float(of_z.v[e]) : 0.0f, log_variance = float(v.v[e]);
    of_mu.v[e] = T(d + g * float(m.v[e]));
    of_logvar.v[e] = T(0.5f * (d * noise[e] * expf(0.5f * log_variance) + g * (expf(log_variance) - 1)));
  }
  store_part(dmu + i, of_mu, size, whole);
  store_part(dlogvar + i, of_logvar, size, whole);
}

}  // namespace

template <class T>
void score_forward(Cuda where, Score f, Wide<T>* loss, const T* x, int64_t n, double target) {
  const float t = float(target);
  const double share = 1 / double(n);
  if (f == Score::bce)
    map_sum(
        where, "bce_with_logits", n, share, [=] __device__(float x) { return softplus_of(x) - t * x; }, loss,
        x);
  else
    map_sum(
        where, "hinge_loss", n, share,
        [=] __device__(float x) { return 1 - t * x < 0 ? 0.0f : 1 - t * x; },  // NaN stays
        loss, x);
}
template <class T>
void score_backward(Cuda where, Score f, T* dx, const Wide<T>* dloss, const T* x, int64_t n, double target) {
  const float t = float(target), share = 1 / float(n);
  if (f == Score::bce)
    map(
        where, "bce_with_logits_backward", n,
        [=] __device__(float x) { return dloss[0] * share * (sigmoid_of(x) - t); }, dx, x);
  else
    map(
        where, "hinge_loss_backward", n,
        [=] __device__(float x) { return 1 - t * x > 0 ? -dloss[0] * share * t : 0.0f; }, dx, x);
}

template <class T>
void distance_forward(Cuda where, Distance f, Wide<T>* loss, const T* a, const T* b, int64_t n) {
  const double share = 1 / double(n);
  if (f == Distance::mse)
    map_sum(
        where, "mse_loss", n, share, [] __device__(float a, float b) { return (a - b) * (a - b); }, loss, a,
        b);
  else
    map_sum(
        where, "l1_loss", n, share, [] __device__(float a, float b) { return fabsf(a - b); }, loss, a, b);
}
template <class T>
void distance_backward(Cuda where, Distance f, T* da, const Wide<T>* dloss, const T* a, const T* b,
                       int64_t n) {
  const float share = 1 / float(n);
  if (f == Distance::mse)
    map(
        where, "mse_loss_backward", n,
        [=] __device__(float a, float b) { return 2 * dloss[0] * share * (a - b); }, da, a, b);
  else
    map(
        where, "l1_loss_backward", n,
        [=] __device__(float a, float b) { return dloss[0] * share * float((a > b) - (a < b)); }, da, a, b);
}

template <class T>
void sample_normal_forward(Cuda where, T* z, Wide<T>* kl, const T* mu, const T* logvar, const T* eps, Key key,
                           int64_t n, int64_t images) {
  const bool aligned = on_16_bytes(z) && on_16_bytes(mu) && on_16_bytes(logvar) && on_16_bytes(eps);
  const int64_t blocks = sum_blocks<T>(n);
  float* parts = static_cast<float*>(workspace(where, size_t(blocks) * sizeof(float)));
  launch(where, "sample_normal", sample_normal_kernel<T>, blocks, 256, 0, z, parts, mu, logvar, eps, key, n,
         aligned);
  sum_of_blocks(where, "sample_normal", parts, blocks, 0.5 / double(images), kl);
}
template <class T>
void sample_normal_backward(Cuda where, T* dmu, T* dlogvar, const T* dz, const Wide<T>* dkl, const T* mu,
                            const T* logvar, const T* eps, Key key, int64_t n, int64_t images) {
  const bool aligned = on_16_bytes(dmu) && on_16_bytes(dlogvar) && on_16_bytes(dz) && on_16_bytes(mu) &&
                       on_16_bytes(logvar) && on_16_bytes(eps);
  launch(where, "sample_normal_backward", sample_normal_backward_kernel<T>, ceil_div(n, 256 * Pack<T>::size),
         256, 0, dmu, dlogvar, dz, dkl, mu, logvar, eps, key, n, 1 / float(images), aligned);
}

#define INSTANTIATE(T)                                                                                       \
  template void score_forward(Cuda, Score, Wide<T>*, const T*, int64_t, double);                             \
  template void score_backward(Cuda, Score, T*, const Wide<T>*, const T*, int64_t, double);                  \
  template void distance_forward(Cuda, Distance, Wide<T>*, const T*, const T*, int64_t);                     \
  template void distance_backward(Cuda, Distance, T*, const Wide<T>*, const T*, const T*, int64_t);          \
  template void sample_normal_forward(Cuda, T*, Wide<T>*, const T*, const T*, const T*, Key, int64_t,        \
                                      int64_t);                                                              \
  template void sample_normal_backward(Cuda, T*, T*, const T*, const Wide<T>*, const T*, const T*, const T*, \
                                       Key, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
