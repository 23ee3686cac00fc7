// The values of pixels: a byte stands for a number in [-1, 1].
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace dae {

// Returns byte / 127.5 - 1.
inline double value_of_byte(uint8_t byte) { return double(byte) / 127.5 - 1; }
// Returns round(127.5 value + 127.5), clamped to a byte.
inline uint8_t byte_of_value(double value) {
  return uint8_t(std::clamp(std::lround(127.5 * value + 127.5), 0l, 255l));
}

}  // namespace dae
