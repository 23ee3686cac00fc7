// What one training step reads: a batch of examples, and random numbers.
#pragma once
#include <memory>

#include "data/streams.h"
#include "engine/ops.h"

namespace dae {

struct Batch {
  // (B, H, W, C) or (B, D) in the recipe's dtype, on its device. With data.augment there are 2B rows, two
  // views of each example: the first view of every example, then the second.
  Tensor x;
  Tensor labels;  // i64, the label of each row of x; -1 where the data has none
};

// The random numbers of one step, in the order in which the step draws them. They come from the counter-based
// generator, or, to compare with another framework, from the rows of a recorded tensor.
class Noise {
 public:
  virtual ~Noise() = default;
  virtual Tensor normal(const Shape& shape, Dtype dtype) = 0;  // returns draws of N(0, 1); shape (rows, ...)
  virtual Key key() = 0;                                       // returns the key of one dropout mask
  // Returns a draw of N(mu, e^logvar) and its KL divergence. It uses the numbers that normal() would return.
  virtual NormalSample sample(const Tensor& mu, const Tensor& logvar) {
    return sample_normal(mu, logvar, normal(mu.shape(), mu.dtype()));
  }
};

// Returns noise drawn on `device` with the key (seed, step, number of the draw). clock: Key::clock
// (kernels/device/philox.h).
std::unique_ptr<Noise> drawn_noise(uint64_t seed, uint32_t step, Device device,
                                   const uint32_t* clock = nullptr);

}  // namespace dae
