// exp, log, sigmoid, tanh, erf and softplus without branches or calls, so that loops over them vectorise.
// The error in f32 is at most 3 ulp over the whole range, with infinities and NaN as in the C library
// (tests/kernels/test_vmath.cpp), but a result below the smallest normal float may become 0. The f64 functions are
// those of the C library.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

namespace dae {

// Returns a b + c, as a fused multiply-add with one rounding where the machine has the instruction. It is
// explicit because the build forbids the compiler to contract expressions.
#ifdef __FMA__
inline float multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double multiply_add(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
inline float multiply_add(float a, float b, float c) { return a * b + c; }
inline double multiply_add(double a, double b, double c) { return a * b + c; }
#endif

inline float fast_exp(float x) {
  // x = n ln 2 + r, |r| <= ln 2 / 2. The addition of 1.5 * 2^23 rounds to an integer, which is then in the
  // low bits.
  const float c = x > 88.8f ? 88.8f : (x < -87.4f ? -87.4f : x);
  const float t = multiply_add(c, 1.44269504f, 12582912.0f), n = t - 12582912.0f;
  float r = multiply_add(n, -0.693359375f, c);
  r = multiply_add(n, 2.12194440e-4f, r);
  float p = 1.9875691500e-4f;  // Cephes expf
  p = multiply_add(p, r, 1.3981999507e-3f);
  p = multiply_add(p, r, 8.3334519073e-3f);
  p = multiply_add(p, r, 4.1665795894e-2f);
  p = multiply_add(p, r, 1.6666665459e-1f);
  p = multiply_add(p, r, 5.0000001201e-1f);
  p = multiply_add(p * r, r, r + 1.0f);
  // p 2^n by addition to the exponent's bits. For n = 128 this is correct up to the overflow, where p < 1.
  const uint32_t k = std::bit_cast<uint32_t>(t) - 0x4B400000u;
  // c - c is 0, or NaN if x is NaN: the addition to the bits may lose a NaN.
  const float y = std::bit_cast<float>(std::bit_cast<uint32_t>(p) + (k << 23)) + (c - c);
  return x > 88.72283f ? INFINITY : (x < -87.33654f ? 0.0f : y);
}
inline double fast_exp(double x) { return std::exp(x); }

template <class T>
T fast_sigmoid(T x) {
  return T(1) / (T(1) + fast_exp(-x));
}

inline float fast_tanh(float x) {
  const float a = std::fabs(x), t = fast_exp(-2.0f * a), z = x * x;
  float p = multiply_add(z, -5.70498872745e-3f, 2.06390887954e-2f);  // Cephes tanhf, below 0.625
  p = multiply_add(p, z, -5.37397155531e-2f);
  p = multiply_add(p, z, 1.33314422036e-1f);
  p = multiply_add(p, z, -3.33332819422e-1f);
  const float small = multiply_add(p * z, x, x), large = std::copysign((1.0f - t) / (1.0f + t), x);
  return a < 0.625f ? small : large;
}
inline double fast_tanh(double x) { return std::tanh(x); }

inline float fast_log(float x) {
  // x = 2^e m, m in [sqrt(1/2), sqrt(2)); denormals are scaled up first.
  const bool tiny = x < 1.17549435e-38f;
  const uint32_t k = std::bit_cast<uint32_t>(tiny ? x * 8388608.0f : x) - 0x3F3504F3u;
  const float e = float(int32_t(k) >> 23) - (tiny ? 23.0f : 0.0f);
  const float s = std::bit_cast<float>((k & 0x7FFFFFu) + 0x3F3504F3u) - 1.0f, z = s * s;
  float p = 7.0376836292e-2f;  // Cephes logf
  p = multiply_add(p, s, -1.1514610310e-1f);
  p = multiply_add(p, s, 1.1676998740e-1f);
  p = multiply_add(p, s, -1.2420140846e-1f);
  p = multiply_add(p, s, 1.4249322787e-1f);
  p = multiply_add(p, s, -1.6668057665e-1f);
  p = multiply_add(p, s, 2.0000714765e-1f);
  p = multiply_add(p, s, -2.4999993993e-1f);
  p = multiply_add(p, s, 3.3333331174e-1f);
  float y = multiply_add(e, -2.12194440e-4f, p * s * z);
  y = multiply_add(z, -0.5f, y);
  y = multiply_add(e, 0.693359375f, s + y);
  y = x < INFINITY ? y : x;
  return x > 0 ? y : (x == 0 ? -INFINITY : NAN);
}
inline double fast_log(double x) { return std::log(x); }

// log(1 + e^x) = max(x, 0) + log(1 + t), t = e^-|x|. The term (t - (u - 1)) / u corrects the rounding error
// of u = 1 + t.
inline float fast_softplus(float x) {
  const float t = fast_exp(-std::fabs(x)), u = 1.0f + t;
  return (x < 0 ? 0.0f : x) + (fast_log(u) + (t - (u - 1.0f)) / u);
}
inline double fast_softplus(double x) { return (x < 0 ? 0.0 : x) + std::log1p(std::exp(-std::fabs(x))); }

// Both polynomials are weighted least-squares fits made for this project. The weights minimise the largest
// relative error of erf.
inline float fast_erf(float x) {
  const float a = std::fabs(x), z = x * x, t = a > 4.0f ? 4.0f : a;
  float p = -5.91950142e-4f;  // erf(x) / x - 1, x < 0.9375
  p = multiply_add(p, z, 4.97915084e-3f);
  p = multiply_add(p, z, -2.67570540e-2f);
  p = multiply_add(p, z, 1.12815529e-1f);
  p = multiply_add(p, z, -3.76124680e-1f);
  p = multiply_add(p, z, 1.28379151e-1f);
  float q = -2.10949693e-5f;  // log(erfc(t)) + t, 0.92 < t < 4
  q = multiply_add(q, t, 4.34461748e-4f);
  q = multiply_add(q, t, -4.17105900e-3f);
  q = multiply_add(q, t, 2.51194183e-2f);
  q = multiply_add(q, t, -1.08280078e-1f);
  q = multiply_add(q, t, -6.33346915e-1f);
  q = multiply_add(q, t, -1.29514918e-1f);
  q = multiply_add(q, t, 1.74683286e-4f);
  const float small = multiply_add(p, x, x), large = std::copysign(1.0f - fast_exp(q - t), x);
  return a < 0.9375f ? small : large;
}
inline double fast_erf(double x) { return std::erf(x); }

}  // namespace dae
