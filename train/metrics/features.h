// What Inception sees in a set of images.
#pragma once
#include <array>

#include "data/image_set.h"
#include "train/metrics/networks.h"
#include "train/metrics/protocol.h"

struct Features {
  std::array<Tensor, kInceptionLayers> rows;  // by InceptionLayer: (count, width), f32 on the CPU; or empty
  int64_t count = 0;
  std::string crc32;  // of sizes and pixels in their order: the same whatever files they came in
  const Tensor& at(InceptionLayer layer) const { return rows[size_t(layer)]; }
};

// The given layers of the first `count` images (0: all) in one pass. Fault::usage if the weights do not reach
// a layer or there are fewer images. Progress on stderr unless quiet, with the share of time spent on files.
Features extract_features(const InceptionNetwork& network, ImageSet& images, const Protocol& protocol,
                          const std::vector<InceptionLayer>& layers, int64_t count, bool quiet);

// What identifies pictures: CRC-32 of height and width (little-endian, 8 bytes each) and pixels, going on
// from `start`.
uint32_t crc_of_image(const Image& image, uint32_t start);
