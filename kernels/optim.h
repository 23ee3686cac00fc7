// One pass of Adam/AdamW with the moving average of the weights:
//   m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= lr (m/(1-b1^t)) / (sqrt(v)/sqrt(1-b2^t) + eps);
//   ema = d ema + (1-d) p.
// Decoupled decay (AdamW) first scales p by 1 - lr wd; otherwise wd p is added to g (Adam with L2). PyTorch's
// formulas. p, m, v, g, ema: (n); ema may be null. 28 bytes a parameter read and written in f32, 36 with the
// average.
#pragma once
#include "kernels/device.h"

struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;
  int64_t step;  // of this update, from 1
  double ema;    // decay of the average
};
template <class T>
void adamw_step(Cpu, T* p, T* m, T* v, T* ema, const T* g, int64_t n, const AdamStep& h);
// low: the same values in bf16 or f16, written in the same pass; null where there is no such copy.
template <class T>
void adamw_step(Cuda, float* p, float* m, float* v, float* ema, T* low, const float* g, int64_t n,
                const AdamStep& h);
