// Resizes images of bytes.
#pragma once
#include <string>

#include "data/images/image.h"

namespace dae {

struct Window {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

// Returns `window` of the image resized to height x width. In each direction, target pixel i covers the
// source interval [i, i + 1) in/out; its centre is c = (i + 1/2) in/out. The centre of source pixel j is j +
// 1/2. filter is one of:
//   nearest    the pixel floor(c)
//   bilinear   weights max(0, 1 - |j + 1/2 - c|): the two pixels around c, without antialiasing; beyond the
//              edge the pixel at the edge counts (OpenCV's INTER_LINEAR)
//   area       the mean over the interval; pixels at its ends count in part (OpenCV's INTER_AREA)
//   bicubic    Keys' cubic kernel with a = -1/2, radius 2
//   lanczos    sinc(t) sinc(t / 3), radius 3
// bicubic and lanczos equal Pillow's bit by bit: when the image shrinks, the kernel is stretched by in/out,
// which antialiases, and the weights are normalised over the pixels in the image. Each row is resized first,
// then each column. Weights are rounded to 22 binary places, results to bytes after each direction.
Image resize(const Image& from, int64_t height, int64_t width, const std::string& filter,
             const Window& window);

}  // namespace dae
