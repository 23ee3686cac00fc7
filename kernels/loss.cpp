#include "kernels/loss.h"

#include <cmath>

#include "kernels/rows.h"
#include "kernels/vmath.h"

namespace {

template <class F>
double mean_of(int64_t n, F f) {
  return ordered_sum(n, [=](int64_t begin, int64_t end) { return lane_sum(begin, end, f); }) / double(n);
}

}  // namespace

template <class T>
void score_forward(Cpu, Score f, T* loss, const T* x, int64_t n, double target) {
  const T t = T(target);
  if (f == Score::bce) loss[0] = T(mean_of(n, [=](int64_t i) { return fast_softplus(x[i]) - t * x[i]; }));
  else loss[0] = T(mean_of(n, [=](int64_t i) { return std::max(1 - t * x[i], T(0)); }));  // NaN stays
}
template <class T>
void score_backward(Cpu, Score f, T* dx, const T* dloss, const T* x, int64_t n, double target) {
  const T t = T(target), g = dloss[0] / T(n);
  if (f == Score::bce) each_element(n, [=](int64_t i) { dx[i] = g * (fast_sigmoid(x[i]) - t); });
  else each_element(n, [=](int64_t i) { dx[i] = 1 - t * x[i] > 0 ? -g * t : T(0); });
}
template <class T>
void distance_forward(Cpu, Distance f, T* loss, const T* a, const T* b, int64_t n) {
  if (f == Distance::mse) loss[0] = T(mean_of(n, [=](int64_t i) { return (a[i] - b[i]) * (a[i] - b[i]); }));
  else loss[0] = T(mean_of(n, [=](int64_t i) { return std::fabs(a[i] - b[i]); }));
}
template <class T>
void distance_backward(Cpu, Distance f, T* da, const T* dloss, const T* a, const T* b, int64_t n) {
  const T g = dloss[0] / T(n);
  if (f == Distance::mse) each_element(n, [=](int64_t i) { da[i] = 2 * g * (a[i] - b[i]); });
  else each_element(n, [=](int64_t i) { da[i] = g * T((a[i] > b[i]) - (a[i] < b[i])); });
}
template <class T>
void kl_forward(Cpu, T* loss, const T* mu, const T* logvar, int64_t n, int64_t images) {
  loss[0] = T(0.5 * double(n) / double(images) *
              mean_of(n, [=](int64_t i) { return mu[i] * mu[i] + fast_exp(logvar[i]) - 1 - logvar[i]; }));
}
template <class T>
void kl_backward(Cpu, T* dmu, T* dlogvar, const T* dloss, const T* mu, const T* logvar, int64_t n,
                 int64_t images) {
  const T g = dloss[0] / T(images);
  each_element(n, [=](int64_t i) { dmu[i] = g * mu[i]; });
  each_element(n, [=](int64_t i) { dlogvar[i] = g * T(0.5) * (fast_exp(logvar[i]) - 1); });
}
template <class T>
void reparameterize_forward(Cpu, T* z, const T* mu, const T* logvar, const T* eps, int64_t n) {
  each_element(n, [=](int64_t i) { z[i] = mu[i] + fast_exp(T(0.5) * logvar[i]) * eps[i]; });
}
template <class T>
void reparameterize_backward(Cpu, T* dlogvar, const T* dz, const T* logvar, const T* eps, int64_t n) {
  each_element(n, [=](int64_t i) { dlogvar[i] = T(0.5) * dz[i] * eps[i] * fast_exp(T(0.5) * logvar[i]); });
}

#define INSTANTIATE(T)                                                                       \
  template void score_forward(Cpu, Score, T*, const T*, int64_t, double);                    \
  template void score_backward(Cpu, Score, T*, const T*, const T*, int64_t, double);         \
  template void distance_forward(Cpu, Distance, T*, const T*, const T*, int64_t);            \
  template void distance_backward(Cpu, Distance, T*, const T*, const T*, const T*, int64_t); \
  template void kl_forward(Cpu, T*, const T*, const T*, int64_t, int64_t);                   \
  template void kl_backward(Cpu, T*, T*, const T*, const T*, const T*, int64_t, int64_t);    \
  template void reparameterize_forward(Cpu, T*, const T*, const T*, const T*, int64_t);      \
  template void reparameterize_backward(Cpu, T*, const T*, const T*, const T*, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)
