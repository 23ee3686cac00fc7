// Losses that several models share.
#pragma once
#include "engine/ops.h"

// VQGAN's weight of the adversarial term (Esser et al. 2021, equation 7, as released): |a| / (|b| + 1e-4) in
// [0, 1e4], where a and b are the gradients of the reconstruction and of the adversarial loss with respect to
// the decoder's last weight, in Frobenius norms. A scalar that stays on the device, a constant to the tape.
inline Tensor adaptive_weight(const Tensor& d_reconstruction, const Tensor& d_adversarial) {
  const NoGrad off;
  return clamp(div(l2_norm(d_reconstruction), shift(l2_norm(d_adversarial), 1e-4)), 0, 1e4);
}
