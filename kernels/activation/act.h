// The activations f(u) that norms and linear layers apply to their output u.
#pragma once

namespace dae {

enum class Act {
  none,
  relu,
  leaky_relu,  // slope 0.2
  silu,        // u sigmoid(u)
  gelu,        // exact: u Phi(u), Phi the normal distribution function
  gelu_tanh,   // u/2 (1 + tanh(v)), v = sqrt(2/pi) (u + 0.044715 u^3)
};

}  // namespace dae
