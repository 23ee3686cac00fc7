// Pictures: JPEG and PNG in, PNG out.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> bytes;  // (height, width, 3), RGB
};

inline constexpr int64_t kLargestImage = int64_t{1} << 26;  // pixels: 8192 x 8192

// Refuses what can be refused without decoding: neither JPEG nor PNG (by its bytes, not its name), more
// pixels than kLargestImage, a JPEG without its end marker, a PNG with a wrong CRC or without its end chunk.
// Fault::data, one line with the path.
void check_image(const std::string& path, const std::string& content);
// Checks, then decodes. Grey becomes RGB, alpha is dropped, 16 bits become 8, CMYK becomes RGB as Pillow
// makes it, an orientation tag is ignored. Fault::data for a JPEG that lacks some of its coded data.
Image decode_image(const std::string& path, const std::string& content);
// What decodes JPEG: "libjpeg-turbo 2.1.5", whose pixels are Pillow's, where the build found it, otherwise
// "stb_image", whose chroma lies up to some levels beside them.
std::string jpeg_decoder();

// bytes (height, width, channels), 1 or 3 channels. Written whole or not at all (file.h).
void save_png(const std::string& path, const uint8_t* bytes, int64_t height, int64_t width, int64_t channels);
