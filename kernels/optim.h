// One pass of Adam/AdamW with the moving average of the weights:
//   m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= lr (m/(1-b1^t)) / (sqrt(v)/sqrt(1-b2^t) + eps);
//   ema = d ema + (1-d) p.
// Decoupled decay (AdamW) first scales p by 1 - lr wd; otherwise wd p is added to g (Adam with L2). PyTorch's
// formulas. p, m, v, g, ema: (n); ema may be null. 28 bytes a parameter read and written in f32, 36 with the
// average.
//
// On the CPU a call takes one parameter. On CUDA a call takes all parameters of a group, which lie in flat
// blocks, and whatever changes from step to step is read from device memory, so that a captured graph can be
// replayed:
//   adam_set_rate              the factor of the rates, for the updates to come
//   adam_look_for_overflow     with a loss scale: is any gradient not finite?
//   adam_begin, adamw_step     of each group; the update is left out where its gate is 0
//   adam_adapt_scale           halves the scale after an overflow, doubles it after `growth` good updates
#pragma once
#include <span>

#include "kernels/device.h"

struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;
  int64_t step;  // of this update, from 1; on CUDA it is counted on the device
  double ema;    // decay of the average
};
template <class T>
void adamw_step(Cpu, T* p, T* m, T* v, T* ema, const T* g, int64_t n, const AdamStep& h);

// What the updates of an optimizer read, in device memory.
struct AdamControl {
  double lr_factor;  // of all groups
  int32_t good;      // updates since the loss scale changed
  int32_t overflow;  // a gradient of this update is not finite
};
// And those of a group. step: updates so far, skipped ones not counted. The rest is of the current update.
struct AdamState {
  int64_t step = 0;
  float rate = 0, root = 0, shrink = 0, unscale = 0;
  int32_t skip = 0, padding = 0;
};
// One parameter: its gradient and 16-bit copy (or null), and its place in the flat blocks.
template <class T>
struct AdamSegment {
  const float* gradient;
  T* low;
  int64_t begin, size;
};

void adam_set_rate(Cuda, AdamControl* control, double lr_factor);
void adam_look_for_overflow(Cuda, AdamControl* control, std::span<const AdamSegment<float>> segments);
// scale: what the loss was multiplied by; null: nothing. gate: null: open.
void adam_begin(Cuda, AdamState* state, const AdamControl* control, const float* scale, const float* gate,
                const AdamStep& h);
// p, m, v, ema: the group's blocks. One launch for every 104 parameters. T: of the 16-bit copies, which are
// written in the same pass; float where there are none.
template <class T>
void adamw_step(Cuda, float* p, float* m, float* v, float* ema, std::span<const AdamSegment<T>> segments,
                const AdamState* state, const AdamStep& h);
void adam_adapt_scale(Cuda, AdamControl* control, float* scale, int64_t growth);
