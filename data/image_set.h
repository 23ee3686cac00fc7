// Images to be measured: bytes, each at its own size, in a fixed order.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/image.h"

class ImageSet {
 public:
  virtual ~ImageSet() = default;
  virtual int64_t size() const = 0;
  virtual std::string skipped() const { return {}; }      // as Dataset::skipped()
  virtual std::string name(int64_t) const { return {}; }  // of the image's file, within its folder; or none
  // Images [begin, end). A set that is drawn as it is read starts anew where `begin` is not the last `end`.
  virtual std::vector<Image> read(int64_t begin, int64_t end) = 0;
};

// By what lies at `path`: a folder with data_batch_1.bin, or a .bin file (CIFAR-10, as open_cifar10); a
// folder of JPEG and PNG files, sorted by their paths in it; one such file; NumPy's .npz or .npy with arr_0,
// uint8, (N, H, W, C), C 1 or 3. Fault::data, one line.
std::unique_ptr<ImageSet> open_images(const std::string& path);
// bytes (count, height, width, channels), 1 or 3 channels.
std::unique_ptr<ImageSet> images_of(std::vector<uint8_t> bytes, int64_t height, int64_t width,
                                    int64_t channels);
// Grey becomes RGB. pixels (height, width, channels).
Image image_of(const uint8_t* pixels, int64_t height, int64_t width, int64_t channels);
