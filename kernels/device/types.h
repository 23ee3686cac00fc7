// The two 16-bit floating-point types, bf16 and f16. They only store and convert; arithmetic is in float.
// Conversion from float rounds to nearest, ties to even. A value that is too large becomes infinity, and NaN
// becomes the NaN 0x7fff. The bits are the same on host and device.
#pragma once
#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/device/host_device.h"
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace dae {

// Return the bits of x rounded to bfloat16, and the float that such bits stand for. bfloat16 is the upper
// half of a float: 8 bits of exponent, 7 of mantissa.
HOST_DEVICE uint16_t bf16_bits(float x) {
#ifdef __CUDA_ARCH__
  return __bfloat16_as_ushort(__float2bfloat16_rn(x));
#else
  const uint32_t u = std::bit_cast<uint32_t>(x);
  return x != x ? uint16_t{0x7fff} : uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
#endif
}
HOST_DEVICE float bf16_value(uint16_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(uint32_t(bits) << 16);
#else
  return std::bit_cast<float>(uint32_t(bits) << 16);
#endif
}

// Return the bits of x rounded to IEEE binary16, and the float that such bits stand for. binary16 has 5 bits
// of exponent and 10 of mantissa; subnormals are kept.
HOST_DEVICE uint16_t f16_bits(float x) {
#ifdef __CUDA_ARCH__
  return __half_as_ushort(__float2half_rn(x));
#else
  const uint32_t u = std::bit_cast<uint32_t>(x), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
  if (a > 0x7f800000) return 0x7fff;
  if (a >= 0x477ff000) return uint16_t(sign | 0x7c00);  // 65520 and above round to infinity
  if (a < 0x38800000)  // below 2^-14: adding 1/2 leaves the rounded multiple of 2^-24 in the low bits
    return uint16_t(sign | (std::bit_cast<uint32_t>(std::bit_cast<float>(a) + 0.5f) - 0x3f000000));
  return uint16_t(sign | ((a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13));
#endif
}
HOST_DEVICE float f16_value(uint16_t bits) {
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(bits));
#else
  const uint32_t sign = uint32_t(bits & 0x8000) << 16, a = bits & 0x7fff;
  if (a > 0x7c00) return std::bit_cast<float>(0x7fffffffu);
  if (a == 0x7c00) return std::bit_cast<float>(sign | 0x7f800000);
  // The shifted bits are a float whose exponent is 112 too small. The product corrects it, also for
  // subnormals.
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(std::bit_cast<float>(a << 13) * 0x1p112f));
#endif
}

struct bf16 {
  uint16_t bits;
  bf16() = default;
  template <class A>
  requires std::is_arithmetic_v<A> HOST_DEVICE explicit bf16(A x) : bits(bf16_bits(float(x))) {}
  HOST_DEVICE operator float() const { return bf16_value(bits); }
};
struct f16 {
  uint16_t bits;
  f16() = default;
  template <class A>
  requires std::is_arithmetic_v<A> HOST_DEVICE explicit f16(A x) : bits(f16_bits(float(x))) {}
  HOST_DEVICE operator float() const { return f16_value(bits); }
};

// The type of parameters, statistics, losses and sums where activations have type T: double for double, float
// for every other type.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

}  // namespace dae
