// One update of Adam or AdamW and of the moving average of the weights, in one pass (the formulas of
// PyTorch's torch.optim.Adam and AdamW). t is the number of the update, from 1.
//   m = b1 m + (1 - b1) g
//   v = b2 v + (1 - b2) g^2
//   p = p - lr (m / (1 - b1^t)) / (sqrt(v) / sqrt(1 - b2^t) + eps)
//   ema = d ema + (1 - d) p
// Decoupled weight decay wd (AdamW) first multiplies p by 1 - lr wd. Otherwise wd p is added to g (Adam with
// L2 regularisation). p, m, v, g and ema are (n); ema may be null. The update reads and writes 28 bytes for
// each element in f32, or 36 bytes with the average.
//
// On the CPU a call updates one parameter. On CUDA a call updates all parameters of a group, which lie in
// flat blocks. The values that change from step to step are read from device memory, so that a captured graph
// can be replayed. An optimizer calls:
//   adam_set_rate            sets the factor of the learning rates for the following updates
//   adam_look_for_overflow   with a loss scale only: notes whether a gradient is not finite
//   adam_begin, adamw_step   update a group; they skip the update after an overflow or if the gate is 0
//   adam_adapt_scale         halves the scale after an overflow, doubles it after `growth` good updates
#pragma once
#include <span>

#include "kernels/device/device.h"

namespace dae {

struct AdamStep {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;
  int64_t step;  // the number of this update, from 1; CUDA ignores it and counts on the device
  double ema;    // the decay d of the average
};
// Updates one parameter and its moments: p, m, v, g and ema are (n); ema may be null.
template <class T>
void adamw_step(Cpu, T* p, T* m, T* v, T* ema, const T* g, int64_t n, const AdamStep& h);

// The state of an optimizer in device memory.
struct AdamControl {
  double lr_factor;  // multiplies the learning rate of every group
  int32_t good;      // the number of updates since the loss scale changed
  int32_t overflow;  // 1 if a gradient of this update is not finite
};
// The state of a group in device memory. `step` is the number of updates, without the skipped ones. The other
// members belong to the current update:
//   rate      lr / (1 - b1^t)
//   root      1 / sqrt(1 - b2^t)
//   shrink    1 - lr wd
//   unscale   1 / loss scale
struct AdamState {
  int64_t step = 0;
  float rate = 0, root = 0, shrink = 0, unscale = 0;
  int32_t skip = 0, padding = 0;
};
// One parameter: its gradient, its 16-bit copy `low` (or null), and its elements [begin, begin + size) in the
// flat blocks.
template <class T>
struct AdamSegment {
  const float* gradient;
  T* low;
  int64_t begin, size;
};

void adam_set_rate(Cuda, AdamControl* control, double lr_factor);
// Sets control->overflow to 1 if an element of a gradient is infinite or NaN.
void adam_look_for_overflow(Cuda, AdamControl* control, std::span<const AdamSegment<float>> segments);
// Prepares the state for one update. `scale` is the factor of the loss, or null if there is none. The update
// is skipped if *gate is 0; a null gate never skips. Both lie in device memory.
void adam_begin(Cuda, AdamState* state, const AdamControl* control, const float* scale, const float* gate,
                const AdamStep& h);
// Updates the parameters of a group. p, m, v and ema are the flat blocks of the group; ema may be null. T is
// the type of the 16-bit copies, which the same pass writes, or float if there are none. One launch handles
// 104 parameters.
template <class T>
void adamw_step(Cuda, float* p, float* m, float* v, float* ema, std::span<const AdamSegment<T>> segments,
                const AdamState* state, const AdamStep& h);
void adam_adapt_scale(Cuda, AdamControl* control, float* scale, int64_t growth);

}  // namespace dae
