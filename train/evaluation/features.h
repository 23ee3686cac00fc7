// Inception's features of a set of images.
#pragma once
#include <array>

#include "data/sets/image_set.h"
#include "train/evaluation/networks.h"
#include "train/evaluation/protocol.h"

namespace dae {

struct Features {
  // Indexed by InceptionLayer: (count, width), f32, on the CPU. Empty for a layer that was not asked for.
  std::array<Tensor, kInceptionLayers> rows;
  int64_t count = 0;
  std::string crc32;  // of sizes and pixels in order, so that the file format has no effect
  const Tensor& at(InceptionLayer layer) const { return rows[size_t(layer)]; }
};

// Returns the features of the given layers for the first `count` images (0: all), computed in one pass.
// Throws Fault::usage if the weights do not reach a layer or there are fewer images. Unless `quiet`, shows
// progress on stderr with the share of time spent on files.
Features extract_features(const InceptionNetwork& network, ImageSet& images, const Protocol& protocol,
                          const std::vector<InceptionLayer>& layers, int64_t count, bool quiet);

// Returns the CRC-32 of an image, continued from `start`, over height and width (little-endian, 8 bytes each)
// and pixels.
uint32_t crc_of_image(const Image& image, uint32_t start);

}  // namespace dae
