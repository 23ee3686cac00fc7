// The augmentation of SimCLR (Chen et al. 2020) at the strength that CIFAR-10 uses: a random crop resized to
// the image's own size, a flip, colour jitter, grey. The formulas are torchvision's on floating-point
// tensors; on Pillow images it computes the same, rounding to bytes in between.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "data/resize.h"
#include "kernels/philox.h"

// What is done to one view of one image, in this order.
struct Augmentation {
  Window crop;  // of the image; resized to all of it, bilinear (it never shrinks, so antialiasing is moot)
  bool flip = false;
  bool jitter = false;
  enum Jitter { brightness, contrast, saturation, hue };
  std::array<double, 4> strength{1, 1, 1, 0};  // by Jitter: three factors, and the hue's shift in turns
  std::array<Jitter, 4> order{brightness, contrast, saturation, hue};
  bool grey = false;
};

// Crop: area 0.08 to 1 of the image, width by height 3/4 to 4/3, uniform in its logarithm, up to 10 tries.
// Flip with probability 0.5; jitter with 0.8: factors in [0.6, 1.4], hue in [-0.1, 0.1], in random order;
// grey with 0.2. Every number is from `key` at a place that depends on `example` alone.
Augmentation draw_augmentation(Key key, uint64_t example, int64_t height, int64_t width);

// image: (height, width, 3) in [-1, 1], row-major, in place.
void augment(const Augmentation& how, int64_t height, int64_t width, std::vector<double>& image);
