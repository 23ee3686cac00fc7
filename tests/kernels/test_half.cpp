// The 16-bit types: the conversion to float and back keeps every value, and rounding is to nearest, checked
// against the two neighbours in double. f16 is also compared with the compiler's _Float16.
#include <doctest/doctest.h>

#include <cmath>
#include <initializer_list>
#include <limits>

#include "kernels/device/philox.h"
#include "kernels/device/types.h"

namespace dae {

namespace {

template <class T>
T from_bits(uint32_t bits) {
  T x;
  x.bits = uint16_t(bits);
  return x;
}

// `over`: the value that would follow the largest finite one, where the bits of infinity are.
template <class T>
uint32_t wrong_roundings(double over) {
  uint32_t wrong = 0;
  const uint16_t infinity = T(std::numeric_limits<float>::infinity()).bits;
  const auto value = [&](uint32_t bits) { return bits == infinity ? over : double(from_bits<T>(bits)); };
  for (uint32_t low = 0; low < infinity; ++low) {
    const double a = value(low), b = value(low + 1), middle = (a + b) / 2;
    for (uint32_t k = 0; k < 6; ++k) {  // both ends, the tie, its neighbours, and a random value
      const float m = float(middle);
      const float x = k == 0   ? float(a)
                      : k == 1 ? m
                      : k == 2 ? std::nextafterf(m, 0.0f)
                      : k == 3 ? std::nextafterf(m, INFINITY)
                      : k == 4 ? float(a + (b - a) * unit_uniform(random_bits({1, 2, 3}, low)))
                               : float(a + (b - a) * unit_uniform(random_bits({1, 2, 4}, low)));
      const double down = double(x) - a, up = b - double(x);
      const uint32_t nearest = down < up || (down == up && low % 2 == 0) ? low : low + 1;
      wrong += T(x).bits != nearest;
      wrong += T(-x).bits != (nearest | 0x8000);
    }
  }
  return wrong;
}

template <class T>
uint32_t lost_round_trips() {
  uint32_t lost = 0;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float x = float(from_bits<T>(bits));
    lost += std::isnan(x) ? T(x).bits != 0x7fff : T(x).bits != bits;
  }
  return lost;
}

}  // namespace

TEST_CASE("every 16-bit value survives the way to float and back") {
  CHECK(lost_round_trips<bf16>() == 0);
  CHECK(lost_round_trips<f16>() == 0);
}

TEST_CASE("rounding is to the nearest, ties to even") {
  CHECK(wrong_roundings<bf16>(0x1p128) == 0);
  CHECK(wrong_roundings<f16>(65536) == 0);
}

TEST_CASE("what is too large, and NaN") {
  for (float sign : {1.0f, -1.0f}) {
    CHECK(std::isinf(float(f16(sign * 65520.0f))));
    CHECK(std::isinf(float(f16(sign * 1e30f))));
    CHECK(std::isinf(float(bf16(sign * 3.4e38f))));
    CHECK(std::isnan(float(f16(sign * NAN))));
    CHECK(std::isnan(float(bf16(sign * NAN))));
  }
}

#ifdef __FLT16_MANT_DIG__
TEST_CASE("f16 is the compiler's _Float16") {
  uint32_t different = 0;
  for (uint64_t i = 0; i < 4'000'000; ++i) {
    const float x = std::bit_cast<float>(random_bits({5, 6, 7}, i));
    if (!std::isnan(x)) different += f16(x).bits != std::bit_cast<uint16_t>(_Float16(x));
  }
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float x = float(from_bits<f16>(bits)), y = float(std::bit_cast<_Float16>(uint16_t(bits)));
    different += !(x == y || (std::isnan(x) && std::isnan(y)));
  }
  CHECK(different == 0);
}
#endif

}  // namespace dae
