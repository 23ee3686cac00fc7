// One pass of Adam/AdamW and the moving average (formulas in optim.h), a thread takes four neighbouring
// elements of each array. Bound by memory: 28 bytes an element, 8 more with the average, 2 more with the
// copy. Not measured on a GPU yet.
#include <cmath>

#include "kernels/optim.h"

namespace {

struct Factors {  // of one step, rounded to float once
  float b1, b2, c1, c2, eps, rate, root, shrink, l2, keep, blend;
};

constexpr int kEach = 4, kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    adamw_kernel(float* p, float* m, float* v, float* ema, T* low, const float* g, int64_t n, Factors h) {
  const int64_t first = (int64_t(blockIdx.x) * kThreads + threadIdx.x) * kEach;
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const int64_t i = first + e;
    if (i >= n) return;
    const float gi = g[i] + h.l2 * p[i];
    m[i] = h.b1 * m[i] + h.c1 * gi;
    v[i] = h.b2 * v[i] + h.c2 * gi * gi;
    p[i] = p[i] * h.shrink - h.rate * m[i] / (sqrtf(v[i]) * h.root + h.eps);
    if (low) low[i] = T(p[i]);
    if (ema) ema[i] = h.keep * ema[i] + h.blend * p[i];
  }
}

}  // namespace

template <class T>
void adamw_step(Cuda where, float* p, float* m, float* v, float* ema, T* low, const float* g, int64_t n,
                const AdamStep& h) {
  const double rate = h.lr / (1 - std::pow(h.beta1, double(h.step)));
  const double root = 1 / std::sqrt(1 - std::pow(h.beta2, double(h.step)));
  const Factors factors{float(h.beta1),
                        float(h.beta2),
                        float(1 - h.beta1),
                        float(1 - h.beta2),
                        float(h.eps),
                        float(rate),
                        float(root),
                        float(h.decoupled ? 1 - h.lr * h.weight_decay : 1),
                        float(h.decoupled ? 0 : h.weight_decay),
                        float(h.ema),
                        float(1 - h.ema)};
  launch(where, "adamw", adamw_kernel<T>, ceil_div(n, kThreads * kEach), kThreads, 0, p, m, v, ema, low, g, n,
         factors);
}

#define INSTANTIATE(T) \
  template void adamw_step(Cuda, float*, float*, float*, float*, T*, const float*, int64_t, const AdamStep&);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
