// y = f(u) and f'(u) for the activations of act.h, for use within the loops of other kernels. On the CPU f is
// a template argument (with_act), so that the loops vectorise. On CUDA f is a value, the same for all
// threads.
#pragma once
#include "kernels/activation/act.h"
#include "kernels/cpu/simd_math.h"
#include "kernels/device/device.h"

namespace dae {

// The constants of gelu_tanh, sqrt(2 / pi) and 0.044715, and of gelu, 1 / sqrt(2) and 1 / sqrt(2 pi).
inline constexpr double kGeluRoot = 0.7978845608028654, kGeluCube = 0.044715;
inline constexpr double kInvRoot2 = 0.7071067811865476, kInvRoot2Pi = 0.3989422804014327;

// Returns f(u).
template <Act act, class T>
T activate(T u) {
  if constexpr (act == Act::relu) return u < 0 ? T(0) : u;  // this comparison keeps NaN
  if constexpr (act == Act::leaky_relu) return u > 0 ? u : T(0.2) * u;
  if constexpr (act == Act::silu) return u * fast_sigmoid(u);
  if constexpr (act == Act::gelu) return u * T(0.5) * (1 + fast_erf(u * T(kInvRoot2)));
  if constexpr (act == Act::gelu_tanh)
    return T(0.5) * u * (1 + fast_tanh(T(kGeluRoot) * (u + T(kGeluCube) * u * u * u)));
  return u;
}
// Returns f'(u). For relu and leaky_relu the argument may also be the output f(u), which gives the same
// result.
template <Act act, class T>
T slope_at(T u) {
  if constexpr (act == Act::relu) return u > 0 ? T(1) : T(0);
  if constexpr (act == Act::leaky_relu) return u > 0 ? T(1) : T(0.2);
  if constexpr (act == Act::silu) {
    const T g = fast_sigmoid(u);
    return g * (1 + u * (1 - g));
  }
  if constexpr (act == Act::gelu)
    return T(0.5) * (1 + fast_erf(u * T(kInvRoot2))) + u * T(kInvRoot2Pi) * fast_exp(-T(0.5) * u * u);
  if constexpr (act == Act::gelu_tanh) {
    const T t = fast_tanh(T(kGeluRoot) * (u + T(kGeluCube) * u * u * u));
    return T(0.5) * (1 + t + u * (1 - t * t) * T(kGeluRoot) * (1 + 3 * T(kGeluCube) * u * u));
  }
  return T(1);
}
// Calls f.template operator()<act>(), with the activation as a template argument.
template <class F>
void with_act(Act act, F f) {
  switch (act) {
    case Act::none:
      return f.template operator()<Act::none>();
    case Act::relu:
      return f.template operator()<Act::relu>();
    case Act::leaky_relu:
      return f.template operator()<Act::leaky_relu>();
    case Act::silu:
      return f.template operator()<Act::silu>();
    case Act::gelu:
      return f.template operator()<Act::gelu>();
    case Act::gelu_tanh:
      return f.template operator()<Act::gelu_tanh>();
  }
}

#if defined(__CUDACC__) || defined(DAE_EMULATE)
__device__ inline float sigmoid_of(float x) { return 1 / (1 + expf(-x)); }

// Return f(u) and f'(u), as the templates above.
__device__ inline float activate(Act act, float u) {
  switch (act) {
    case Act::none:
      return u;
    case Act::relu:
      return u < 0 ? 0.0f : u;
    case Act::leaky_relu:
      return u > 0 ? u : 0.2f * u;
    case Act::silu:
      return u * sigmoid_of(u);
    case Act::gelu:
      return u * 0.5f * (1 + erff(u * float(kInvRoot2)));
    case Act::gelu_tanh:
      return 0.5f * u * (1 + tanhf(float(kGeluRoot) * (u + float(kGeluCube) * u * u * u)));
  }
  return u;
}
__device__ inline float slope_at(Act act, float u) {
  switch (act) {
    case Act::none:
      return 1;
    case Act::relu:
      return u > 0 ? 1.0f : 0.0f;
    case Act::leaky_relu:
      return u > 0 ? 1.0f : 0.2f;
    case Act::silu: {
      const float g = sigmoid_of(u);
      return g * (1 + u * (1 - g));
    }
    case Act::gelu:
      return 0.5f * (1 + erff(u * float(kInvRoot2))) + u * float(kInvRoot2Pi) * expf(-0.5f * u * u);
    case Act::gelu_tanh: {
      const float t = tanhf(float(kGeluRoot) * (u + float(kGeluCube) * u * u * u));
      return 0.5f * (1 + t + u * (1 - t * t) * float(kGeluRoot) * (1 + 3 * float(kGeluCube) * u * u));
    }
  }
  return 1;
}
#endif

}  // namespace dae
