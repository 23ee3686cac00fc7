// Pictures: reads JPEG and PNG, writes PNG.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace dae {

struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> bytes;  // (height, width, 3), RGB
};

inline constexpr int64_t kLargestImage = int64_t{1} << 26;  // pixels: 8192 x 8192

// Checks a file without decoding it. Throws Fault::data, one line with the path, for content that is neither
// JPEG nor PNG (told by its bytes, not its name), more pixels than kLargestImage, a JPEG without its end
// marker, a PNG with a wrong CRC or without its end chunk.
void check_image(const std::string& path, const std::string& content);
// Checks a file, then decodes it to RGB bytes. Grey becomes RGB, alpha is dropped, 16 bits become 8, CMYK
// becomes RGB as in Pillow, an orientation tag is ignored. Fault::data for a JPEG that lacks some of its
// coded data.
Image decode_image(const std::string& path, const std::string& content);
// Returns the name of the JPEG decoder: "libjpeg-turbo 2.1.5" where the build found the library; its pixels
// equal Pillow's. Otherwise "stb_image"; its chroma differs from them by up to some levels.
std::string jpeg_decoder();

// Writes a PNG of bytes (height, width, channels) with 1 or 3 channels; whole or not at all (file.h).
void save_png(const std::string& path, const uint8_t* bytes, int64_t height, int64_t width, int64_t channels);

}  // namespace dae
