// Losses that end in one number, and their gradients; formulas and shapes in loss.h. Forward by map_sum
// (sums.h), each input read once; backward by map (map.h), 16 bytes a thread.
// Bound by memory: n or 2 n elements forward, 2 n to 4 n backward. Not measured on a GPU yet.
#include "kernels/activate.h"
#include "kernels/loss.h"
#include "kernels/sums.h"

namespace {

__device__ inline float softplus_of(float x) { return (x < 0 ? 0.0f : x) + log1pf(expf(-fabsf(x))); }

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
void kl_forward(Cuda where, Wide<T>* loss, const T* mu, const T* logvar, int64_t n, int64_t images) {
  map_sum(
      where, "kl_normal", n, 0.5 / double(images),
      [] __device__(float mu, float logvar) { return mu * mu + expf(logvar) - 1 - logvar; }, loss, mu,
      logvar);
}
template <class T>
void kl_backward(Cuda where, T* dmu, T* dlogvar, const Wide<T>* dloss, const T* mu, const T* logvar,
                 int64_t n, int64_t images) {
  const float share = 1 / float(images);
  map(
      where, "kl_normal_backward", n, [=] __device__(float mu) { return dloss[0] * share * mu; }, dmu, mu);
  map(
      where, "kl_normal_backward", n,
      [=] __device__(float logvar) { return dloss[0] * share * 0.5f * (expf(logvar) - 1); }, dlogvar, logvar);
}

template <class T>
void reparameterize_forward(Cuda where, T* z, const T* mu, const T* logvar, const T* eps, int64_t n) {
  map(
      where, "reparameterize", n,
      [] __device__(float mu, float logvar, float eps) { return mu + expf(0.5f * logvar) * eps; }, z, mu,
      logvar, eps);
}
template <class T>
void reparameterize_backward(Cuda where, T* dlogvar, const T* dz, const T* logvar, const T* eps, int64_t n) {
  map(
      where, "reparameterize_backward", n,
      [] __device__(float dz, float logvar, float eps) { return 0.5f * dz * eps * expf(0.5f * logvar); },
      dlogvar, dz, logvar, eps);
}

#define INSTANTIATE(T)                                                                              \
  template void score_forward(Cuda, Score, Wide<T>*, const T*, int64_t, double);                    \
  template void score_backward(Cuda, Score, T*, const Wide<T>*, const T*, int64_t, double);         \
  template void distance_forward(Cuda, Distance, Wide<T>*, const T*, const T*, int64_t);            \
  template void distance_backward(Cuda, Distance, T*, const Wide<T>*, const T*, const T*, int64_t); \
  template void kl_forward(Cuda, Wide<T>*, const T*, const T*, int64_t, int64_t);                   \
  template void kl_backward(Cuda, T*, T*, const Wide<T>*, const T*, const T*, int64_t, int64_t);    \
  template void reparameterize_forward(Cuda, T*, const T*, const T*, const T*, int64_t);            \
  template void reparameterize_backward(Cuda, T*, const T*, const T*, const T*, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
