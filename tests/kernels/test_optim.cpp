// The one-pass AdamW with moving average against the formulas, written out for one parameter at a time in
// f64.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cpu/parallel.h"
#include "kernels/device/philox.h"
#include "kernels/optim/optim.h"

namespace dae {

namespace {

struct State {
  double p, m = 0, v = 0, ema;
};
// Adam: Kingma & Ba 2015, algorithm 1, with eps outside the corrected root. Decay: Loshchilov & Hutter 2019.
void plain_step(State& s, double g, const AdamStep& h) {
  if (h.decoupled) s.p -= h.lr * h.weight_decay * s.p;
  else g += h.weight_decay * s.p;
  s.m = h.beta1 * s.m + (1 - h.beta1) * g;
  s.v = h.beta2 * s.v + (1 - h.beta2) * g * g;
  const double m = s.m / (1 - std::pow(h.beta1, double(h.step)));
  const double v = s.v / (1 - std::pow(h.beta2, double(h.step)));
  s.p -= h.lr * m / (std::sqrt(v) + h.eps);
  s.ema = h.ema * s.ema + (1 - h.ema) * s.p;
}

template <class T>
T value(uint32_t stream, int64_t i) {
  return T(2 * unit_uniform(random_bits(Key{5, stream, 0}, uint64_t(i))) - 1);
}

template <class T>
struct Run {
  std::vector<T> p, m, v, ema;
};
template <class T>
Run<T> run(int64_t n, AdamStep h, bool average, int steps) {
  Run<T> r{std::vector<T>(n), std::vector<T>(n, T(0)), std::vector<T>(n, T(0)), {}};
  for (int64_t i = 0; i < n; ++i) r.p[i] = value<T>(0, i);
  r.ema = r.p;
  std::vector<T> g(n);
  for (h.step = 1; h.step <= steps; ++h.step) {
    for (int64_t i = 0; i < n; ++i) g[i] = value<T>(uint32_t(h.step), i);
    adamw_step(Cpu{}, r.p.data(), r.m.data(), r.v.data(), average ? r.ema.data() : nullptr, g.data(), n, h);
  }
  return r;
}

// Returns the largest difference from the plain loop. The values of every array are of size about 1.
template <class T>
double error(int64_t n, AdamStep h, bool average, int steps) {
  const Run<T> r = run<T>(n, h, average, steps);
  double worst = 0;
  for (int64_t i = 0; i < n; ++i) {
    State s{double(value<T>(0, i)), 0, 0, double(value<T>(0, i))};
    for (h.step = 1; h.step <= steps; ++h.step) plain_step(s, double(value<T>(uint32_t(h.step), i)), h);
    if (!average) s.ema = double(value<T>(0, i));  // without average the array must not change
    for (double d :
         {s.p - double(r.p[i]), s.m - double(r.m[i]), s.v - double(r.v[i]), s.ema - double(r.ema[i])})
      worst = std::max(worst, std::fabs(d));
  }
  return worst;
}

}  // namespace

TEST_CASE("f64 and f32 follow the plain loop") {
  for (bool decoupled : {true, false})
    for (bool average : {true, false})
      for (int64_t n : {int64_t{1}, int64_t{37}, 2 * kStreamGrain + 5}) {
        const AdamStep h{0.02, 0.5, 0.9, 1e-8, 0.1, decoupled, 0, 0.95};
        CAPTURE(decoupled);
        CAPTURE(average);
        CAPTURE(n);
        CHECK(error<double>(n, h, average, 6) < 1e-14);
        CHECK(error<float>(n, h, average, 6) < 2e-6);
      }
}

TEST_CASE("the first step moves every parameter by lr against the sign of its gradient") {
  float p = 1, m = 0, v = 0;
  const float g = -1e-3f;
  adamw_step<float>(Cpu{}, &p, &m, &v, nullptr, &g, 1, {0.25, 0.9, 0.999, 1e-8, 0, true, 1, 0});
  CHECK(std::fabs(p - 1.25f) < 1e-5f);
}

TEST_CASE("eps is added to the corrected root") {
  double p = 1, m = 0, v = 0;
  const double g = 1e-3;
  adamw_step<double>(Cpu{}, &p, &m, &v, nullptr, &g, 1, {0.25, 0.9, 0.999, 1e-3, 0, true, 1, 0});
  CHECK(std::fabs(p - (1 - 0.125)) < 1e-12);
}

TEST_CASE("the same bits for any number of threads") {
  const AdamStep h{0.02, 0.9, 0.999, 1e-8, 0.1, true, 0, 0.95};
  const int64_t n = 3 * kStreamGrain + 11;
  const int before = thread_count();
  set_thread_count(1);
  const Run<float> one = run<float>(n, h, true, 3);
  for (int threads : {2, 3}) {
    set_thread_count(threads);
    const Run<float> more = run<float>(n, h, true, 3);
    for (auto array : {&Run<float>::p, &Run<float>::m, &Run<float>::v, &Run<float>::ema})
      CHECK(!std::memcmp((one.*array).data(), (more.*array).data(), size_t(n) * sizeof(float)));
  }
  set_thread_count(before);
}

}  // namespace dae
