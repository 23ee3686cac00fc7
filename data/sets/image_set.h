// A set of images to be evaluated: bytes, each image at its own size, in a fixed order.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/images/image.h"

namespace dae {

class ImageSet {
 public:
  virtual ~ImageSet() = default;
  virtual int64_t size() const = 0;
  virtual std::string skipped() const { return {}; }      // as Dataset::skipped()
  virtual std::string name(int64_t) const { return {}; }  // the image's path in its folder; empty: no file
  // Returns images begin to end - 1. A set whose images are generated in order starts from the first one
  // again if `begin` is not the `end` of the call before.
  virtual std::vector<Image> read(int64_t begin, int64_t end) = 0;
};

// Opens the images at `path`, which is one of:
//   CIFAR-10     a folder with data_batch_1.bin, or a .bin file (open_cifar10)
//   a folder     JPEG and PNG files, sorted by their paths in it
//   one image    a JPEG or PNG file
//   an array     NumPy's .npz or .npy with arr_0: uint8 (N, H, W, C), 1 or 3 channels
// Fault::data, one line, for anything else.
std::unique_ptr<ImageSet> open_images(const std::string& path);
// Returns the set of images in `bytes`: (count, height, width, channels), 1 or 3 channels.
std::unique_ptr<ImageSet> images_of(std::vector<uint8_t> bytes, int64_t height, int64_t width,
                                    int64_t channels);
// Returns an RGB image of pixels (height, width, channels), 1 or 3 channels. Grey becomes RGB.
Image image_of(const uint8_t* pixels, int64_t height, int64_t width, int64_t channels);

}  // namespace dae
