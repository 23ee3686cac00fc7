// The CPU kernel of Adam and AdamW for one parameter; optim.h gives the formulas.
#include "kernels/optim/optim.h"

#include <cmath>

#include "kernels/cpu/parallel.h"

namespace dae {

template <class T>
void adamw_step(Cpu, T* p, T* m, T* v, T* ema, const T* g, int64_t n, const AdamStep& h) {
  const T b1 = T(h.beta1), b2 = T(h.beta2), c1 = T(1 - h.beta1), c2 = T(1 - h.beta2), eps = T(h.eps);
  const T rate = T(h.lr / (1 - std::pow(h.beta1, double(h.step))));
  const T root = T(1 / std::sqrt(1 - std::pow(h.beta2, double(h.step))));
  const T shrink = T(h.decoupled ? 1 - h.lr * h.weight_decay : 1), l2 = T(h.decoupled ? 0 : h.weight_decay);
  const T keep = T(h.ema), blend = T(1 - h.ema);
  parallel_for(n, kStreamGrain, [=](int64_t begin, int64_t end) {
    auto update = [=](int64_t i) {
      const T gi = g[i] + l2 * p[i];
      m[i] = b1 * m[i] + c1 * gi;
      v[i] = b2 * v[i] + c2 * gi * gi;
      return p[i] = p[i] * shrink - rate * m[i] / (std::sqrt(v[i]) * root + eps);
    };
    if (ema) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) ema[i] = keep * ema[i] + blend * update(i);
    } else {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) update(i);
    }
  });
}

template void adamw_step(Cpu, float*, float*, float*, float*, const float*, int64_t, const AdamStep&);
template void adamw_step(Cpu, double*, double*, double*, double*, const double*, int64_t, const AdamStep&);

}  // namespace dae
