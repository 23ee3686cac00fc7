// The augmentation of SimCLR (Chen et al. 2020) at the strength used for CIFAR-10: a random crop resized to
// the size of the image, a flip, colour jitter, grey. The formulas are those of torchvision for
// floating-point tensors. Torchvision computes the same for Pillow images, but rounds to bytes after each
// operation.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "data/images/resize.h"
#include "kernels/device/philox.h"

namespace dae {

// What is done to one view of one image, in the order of the members.
struct Augmentation {
  // The part of the image that is resized, bilinear, to the size of the image. It is never larger than the
  // image, so antialiasing would change nothing.
  Window crop;
  bool flip = false;
  bool jitter = false;
  enum Jitter { brightness, contrast, saturation, hue };
  std::array<double, 4> strength{1, 1, 1, 0};  // by Jitter: three factors, and the shift of the hue in turns
  std::array<Jitter, 4> order{brightness, contrast, saturation, hue};
  bool grey = false;
};

// Draws the augmentation of one example. The random numbers depend on `key` and `example` alone.
//   crop     area: uniform in 0.08 to 1 of the image; width / height: 3/4 to 4/3, uniform in its logarithm;
//            the whole image if none of 10 tries fits
//   flip     with probability 0.5
//   jitter   with probability 0.8: factors in [0.6, 1.4], hue in [-0.1, 0.1], in random order
//   grey     with probability 0.2
Augmentation draw_augmentation(Key key, uint64_t example, int64_t height, int64_t width);

// Applies `how` to an image in place: (height, width, 3), row-major, values in [-1, 1].
void augment(const Augmentation& how, int64_t height, int64_t width, std::vector<double>& image);

}  // namespace dae
