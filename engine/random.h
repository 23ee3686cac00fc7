// The state of the random numbers: a seed, the step and the number of the next draw within the step. A
// resumed run therefore draws the same numbers.
#pragma once
#include "kernels/device/philox.h"

namespace dae {

class Rng {
 public:
  explicit Rng(uint64_t seed = 0, uint32_t step = 0, const uint32_t* clock = nullptr)
      : key_{seed, step, 0, clock} {}
  Key next() {
    const Key key = key_;
    ++key_.op;
    return key;
  }
  const Key& state() const { return key_; }

 private:
  Key key_;
};

}  // namespace dae
