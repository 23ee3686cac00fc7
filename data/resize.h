// Images at another size, bytes to bytes.
#pragma once
#include <string>

#include "data/image.h"

struct Window {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

// The window of the image as it would be at height x width. Target pixel i lies over the source interval
// [i, i + 1) in/out with the centre c = (i + 1/2) in/out; a source pixel j has its centre at j + 1/2. filter:
//   nearest   the pixel floor(c)
//   bilinear  weights 1 - |j + 1/2 - c|, not below 0: the two pixels around c, without antialiasing; beyond
//             the edge the edge's pixel (OpenCV's INTER_LINEAR)
//   area      the mean of the interval, pixels at its ends counted in part (OpenCV's INTER_AREA)
//   bicubic   Keys' cubic kernel with a = -1/2, radius 2
//   lanczos   sinc(t) sinc(t / 3), radius 3
// The last two are stretched by in/out when the image shrinks, so they antialias, and are normalised over the
// pixels there are: bit-equal to Pillow's. Rows first, then columns; weights are rounded to 22 bits behind
// the point, results to bytes after each direction.
Image resize(const Image& from, int64_t height, int64_t width, const std::string& filter,
             const Window& window);
