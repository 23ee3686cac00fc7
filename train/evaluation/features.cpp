#include "train/evaluation/features.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "data/files/file.h"
#include "kernels/cpu/parallel.h"
#include "train/io/logs.h"

namespace dae {

uint32_t crc_of_image(const Image& image, uint32_t start) {
  const int64_t size[2] = {image.height, image.width};
  start = crc_of({reinterpret_cast<const char*>(size), sizeof size}, start);
  return crc_of({reinterpret_cast<const char*>(image.bytes.data()), image.bytes.size()}, start);
}

Features extract_features(const InceptionNetwork& network, ImageSet& images, const Protocol& protocol,
                          const std::vector<InceptionLayer>& layers, int64_t count, bool quiet) {
  // The batch is fixed, so that results depend on the images alone.
  constexpr int64_t kBatch = 32, kSide = kInceptionSide;
  for (const InceptionLayer layer : layers) network.require(layer);
  if (count == 0) count = images.size();
  if (count > images.size())
    fail(Fault::usage, "--count: expected at most {}, the images there are, found {}", images.size(), count);
  const NoGrad off;
  const InceptionLayer last = *std::max_element(layers.begin(), layers.end());
  Features out;
  out.count = count;
  for (const InceptionLayer layer : layers)
    out.rows[size_t(layer)] = Tensor({count, kInceptionWidths[size_t(layer)]});
  ProgressLine progress(0, count, 1, quiet, "image");
  double reading = 0;
  uint32_t crc = 0;
  for (int64_t done = 0; done < count;) {
    const double began = progress.seconds();
    const int64_t n = std::min(kBatch, count - done);
    const std::vector<Image> batch = images.read(done, done + n);
    Tensor x({n, kSide, kSide, 3});
    float* const pixels = x.data<float>();
    parallel_for(n, 1, [&](int64_t i, int64_t) {
      prepare(protocol, batch[size_t(i)], kSide, pixels + i * kSide * kSide * 3);
    });
    for (const Image& image : batch) crc = crc_of_image(image, crc);
    reading += progress.seconds() - began;
    const auto found = (*network.model)(x.to(network.device), last);
    for (const InceptionLayer layer : layers) {
      const Tensor rows = found[size_t(layer)].to(Device::cpu);
      const Tensor& all = out.at(layer);
      std::memcpy(static_cast<char*>(all.raw()) + done * all.bytes() / count, rows.raw(),
                  size_t(rows.bytes()));
    }
    const bool tenth = (done + n) * 10 / count > done * 10 / count;
    progress.show(done += n, reading, {}, tenth);
  }
  progress.finish();
  out.crc32 = fmt::format("{:08x}", crc);
  return out;
}

}  // namespace dae
