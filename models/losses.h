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

// Which of two adversaries learn from a step, by the rule of Larsen et al. (2016, as released): from the
// discriminator's costs of true and of generated images, scalars, it rests where one of them is below 0.68 -
// margin, the generator where one is above 0.68 + margin; where both would rest, both learn. Each is 1 or 0,
// a scalar that stays on the device, a constant to the tape: a gate for the optimizer.
struct Balance {
  Tensor discriminator, generator;
};
inline Balance balance(const Tensor& true_cost, const Tensor& generated_cost, double margin) {
  constexpr double kEquilibrium = 0.68, kSteep = 1e30;  // a difference in the last bit is far above 1
  const NoGrad off;
  const auto negated = [](const Tensor& truth) { return shift(scale(truth, -1), 1); };
  const auto learns = [&](double sign) {  // no cost lies beyond the limit on the side of `sign`
    const auto within = [&](const Tensor& cost) {
      const Tensor excess = shift(cost, -kEquilibrium - sign * margin);
      return negated(clamp(scale(excess, sign * kSteep), 0, 1));
    };
    return mul(within(true_cost), within(generated_cost));
  };
  const Tensor discriminator = learns(-1), generator = learns(1);
  const Tensor all_rest = mul(negated(discriminator), negated(generator));
  return {add(discriminator, all_rest), add(generator, all_rest)};
}
