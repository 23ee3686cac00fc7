// exp, sigmoid and tanh without branches or calls, so that loops over them vectorise. f32: 2 ulp over the
// whole range, infinities and NaN included; f64 is the library's.
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

// a b + c with one rounding where the machine can. Written out, since the compiler contracts nothing by
// itself.
#ifdef __FMA__
inline float multiply_add(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline double multiply_add(double a, double b, double c) { return __builtin_fma(a, b, c); }
#else
inline float multiply_add(float a, float b, float c) { return a * b + c; }
inline double multiply_add(double a, double b, double c) { return a * b + c; }
#endif

inline float fast_exp(float x) {
  // x = n ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  const float c = x > 88.8f ? 88.8f : (x < -87.3f ? -87.3f : x);
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
  // 2^n in two factors: n = 128 has no float of its own.
  const uint32_t k = std::bit_cast<uint32_t>(t) - 0x4B400000u;
  const float half = std::bit_cast<float>((uint32_t(int32_t(k) >> 1) + 127u) << 23);
  const float rest = std::bit_cast<float>((k - uint32_t(int32_t(k) >> 1) + 127u) << 23);
  const float y = p * half * rest;
  return x > 88.72283f ? INFINITY : (x < -87.3f ? 0.0f : y);
}
inline double fast_exp(double x) { return std::exp(x); }

template <class T>
T fast_sigmoid(T x) {
  return T(1) / (T(1) + fast_exp(-x));
}

inline float fast_tanh(float x) {
  const float a = std::fabs(x), t = fast_exp(-2.0f * a), z = x * x;
  float p = multiply_add(z, 2.1869488e-2f, -5.3968254e-2f);  // Taylor: enough below 0.25
  p = multiply_add(p, z, 1.3333333e-1f);
  p = multiply_add(p, z, -3.3333334e-1f);
  const float small = multiply_add(p * z, x, x), large = std::copysign((1.0f - t) / (1.0f + t), x);
  return a < 0.25f ? small : large;
}
inline double fast_tanh(double x) { return std::tanh(x); }
