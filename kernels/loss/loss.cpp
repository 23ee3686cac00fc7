#include "kernels/loss/loss.h"

#include <cmath>

#include "kernels/cpu/ordered_sums.h"
#include "kernels/cpu/simd_math.h"

namespace dae {

namespace {

template <class F>
double mean_of(int64_t n, F f) {
  return ordered_sum(n, [=](int64_t begin, int64_t end) { return lane_sum(begin, end, f); }) / double(n);
}

constexpr int64_t kTile = 1024;

// Calls f(begin, end, noise) for tiles of [0, n). noise[0 .. end - begin) is this part of eps, or is drawn.
template <class T, class F>
void each_tile(int64_t n, const T* eps, Key key, F f) {
  parallel_for(ceil_div(n, kTile), 8, [&](int64_t first, int64_t last) {
    for (int64_t begin = first * kTile; begin < std::min(n, last * kTile); begin += kTile) {
      const int64_t end = std::min(n, begin + kTile);
      T drawn[kTile];
      for (int64_t i = begin; i < end && !eps; i += 4) {
        float four[4];
        normal4(random4(key, uint64_t(i / 4)), four);
        for (int64_t e = 0; e < 4; ++e) drawn[i - begin + e] = T(four[e]);
      }
      f(begin, end, eps ? eps + begin : drawn);
    }
  });
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
void sample_normal_forward(Cpu, T* z, T* kl, const T* mu, const T* logvar, const T* eps, Key key, int64_t n,
                           int64_t images) {
  std::vector<double> sums(size_t(ceil_div(n, kTile)));
  each_tile(n, eps, key, [&](int64_t begin, int64_t end, const T* noise) {
    const T *m = mu + begin, *v = logvar + begin;
    T* out = z + begin;
#pragma omp simd
    for (int64_t i = 0; i < end - begin; ++i) out[i] = m[i] + fast_exp(T(0.5) * v[i]) * noise[i];
    sums[size_t(begin / kTile)] =
        lane_sum(0, end - begin, [=](int64_t i) { return m[i] * m[i] + fast_exp(v[i]) - 1 - v[i]; });
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  kl[0] = T(0.5 * total / double(images));
}
template <class T>
void sample_normal_backward(Cpu, T* dmu, T* dlogvar, const T* dz, const T* dkl, const T* mu, const T* logvar,
                            const T* eps, Key key, int64_t n, int64_t images) {
  const T g = dkl ? dkl[0] / T(images) : T(0);
  each_tile(n, eps, key, [&](int64_t begin, int64_t end, const T* noise) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const T of_z = dz ? dz[i] : T(0), deviation = fast_exp(T(0.5) * logvar[i]);
      dmu[i] = of_z + g * mu[i];
      dlogvar[i] = T(0.5) * (of_z * noise[i - begin] * deviation + g * (fast_exp(logvar[i]) - 1));
    }
  });
}

#define INSTANTIATE(T)                                                                                     \
  template void score_forward(Cpu, Score, T*, const T*, int64_t, double);                                  \
  template void score_backward(Cpu, Score, T*, const T*, const T*, int64_t, double);                       \
  template void distance_forward(Cpu, Distance, T*, const T*, const T*, int64_t);                          \
  template void distance_backward(Cpu, Distance, T*, const T*, const T*, const T*, int64_t);               \
  template void sample_normal_forward(Cpu, T*, T*, const T*, const T*, const T*, Key, int64_t, int64_t);   \
  template void sample_normal_backward(Cpu, T*, T*, const T*, const T*, const T*, const T*, const T*, Key, \
                                       int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
