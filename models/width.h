// Returns a layer's channels times the recipe's model.width, rounded, at least 1.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace dae {

inline int64_t scaled(int64_t channels, double width) {
  return std::max<int64_t>(1, std::llround(double(channels) * width));
}

}  // namespace dae
