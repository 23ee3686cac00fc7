// Losses and loss weights that several models share.
#pragma once
#include "engine/ops.h"

namespace dae {

// Returns VQGAN's weight of the adversarial loss (Esser et al. 2021, equation 7, as in the released code):
//   clamp(|a| / (|b| + 1e-4), 0, 1e4), with Frobenius norms
// where a = d_reconstruction and b = d_adversarial are the gradients of the two losses with respect to the
// decoder's last weight. The result is a scalar on the device and a constant of the tape.
inline Tensor adaptive_weight(const Tensor& d_reconstruction, const Tensor& d_adversarial) {
  const NoGrad off;
  return clamp(div(l2_norm(d_reconstruction), shift(l2_norm(d_adversarial), 1e-4)), 0, 1e4);
}

// Decides which of two adversaries learns from a step, by the rule of Larsen et al. (2016, as in the released
// code). true_cost and generated_cost are the discriminator's costs of true and of generated images, scalars.
//   discriminator   pauses if one of the costs is below 0.68 - margin
//   generator       pauses if one of the costs is above 0.68 + margin
// If both would pause, both learn. The results are 1 (learns) or 0 (pauses): scalars on the device, constants
// of the tape, for Group::gate of the optimizer.
struct Balance {
  Tensor discriminator, generator;
};
inline Balance balance(const Tensor& true_cost, const Tensor& generated_cost, double margin) {
  // kSteep turns any difference, even one unit in the last place, into far more than 1, which the clamp cuts.
  constexpr double kEquilibrium = 0.68, kSteep = 1e30;
  const NoGrad off;
  const auto negated = [](const Tensor& truth) { return shift(scale(truth, -1), 1); };
  // 1 if no cost lies beyond the limit on the side of `sign`, otherwise 0.
  const auto learns = [&](double sign) {
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

}  // namespace dae
