#include "data/images/image.h"

#include <memory>

#include "data/files/file.h"
#include "data/images/jpeg.h"
#include "kernels/device/error.h"

#define STB_IMAGE_IMPLEMENTATION
#ifndef DAE_LIBJPEG
#define STBI_ONLY_JPEG
#endif
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

namespace dae {

#pragma GCC diagnostic pop

namespace {

const std::string kPngStart("\x89PNG\r\n\x1a\n", 8), kJpegStart("\xff\xd8");

bool starts_with(const std::string& content, const std::string& start) {
  return content.compare(0, start.size(), start) == 0;
}

// Returns the unsigned number in `count` bytes, most significant first.
uint32_t big_endian(const std::string& content, size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | uint8_t(content[at + size_t(i)]);
  return value;
}

void check_size(const std::string& path, int64_t width, int64_t height) {
  if (width < 1 || height < 1 || width > kLargestImage / height)
    fail(Fault::data, "{}: expected an image of 1 to {} pixels, found a header that claims {} x {}", path,
         kLargestImage, width, height);
}

[[noreturn]] void truncated(const std::string& path, const std::string& content, const char* end) {
  fail(Fault::data, "{}: expected {}, found the end of the file at byte {}; it is truncated", path, end,
       content.size());
}

// A PNG is a list of chunks: length (4 bytes), name (4), data, CRC-32 of name and data (4). stb does not
// check the CRC.
void check_png(const std::string& path, const std::string& content) {
  size_t at = kPngStart.size();
  for (bool first = true;; first = false) {
    const auto has = [&](size_t bytes) { return content.size() - at >= bytes; };
    if (!has(12)) truncated(path, content, "a PNG up to its IEND chunk");
    const size_t length = big_endian(content, at, 4);
    const std::string name = content.substr(at + 4, 4);
    if (first && (name != "IHDR" || length != 13 || !has(12 + 13)))
      fail(Fault::data, "{}: expected a PNG that begins with its IHDR chunk, found none", path);
    if (first) check_size(path, big_endian(content, at + 8, 4), big_endian(content, at + 12, 4));
    if (!has(12 + length)) truncated(path, content, "a PNG up to its IEND chunk");
    const uint32_t crc = crc_of(std::string_view(content).substr(at + 4, length + 4)),
                   found = big_endian(content, at + 8 + length, 4);
    if (crc != found)
      fail(Fault::data, "{}: PNG chunk at byte {}: expected CRC {:08x}, found {:08x}; the file is damaged",
           path, at, crc, found);
    if (name == "IEND") return;
    at += 12 + length;
  }
}

// A Huffman table is: class and number (1 byte), the counts of codes by length (16 bytes), one symbol for
// each code. With more than 256 codes stb would write beyond its own table.
void check_huffman(const std::string& path, const std::string& content, size_t at, size_t end) {
  while (at < end) {
    size_t codes = 0;
    for (size_t i = at + 1; i < at + 17 && i < content.size(); ++i) codes += uint8_t(content[i]);
    if (codes > 256)
      fail(Fault::data, "{}: byte {}: expected a Huffman table of at most 256 codes, found {}", path, at,
           codes);
    at += 17 + codes;
  }
}

// A JPEG is a list of segments: 0xFF, marker, length (2 bytes, itself included), data. Entropy-coded bytes
// follow a start of scan, up to the next marker that is neither a stuffed zero nor a restart. stb decodes a
// truncated scan as grey, without an error.
void check_jpeg(const std::string& path, const std::string& content) {
  const auto byte = [&](size_t at) -> int {
    if (at >= content.size()) truncated(path, content, "a JPEG up to its end marker");
    return uint8_t(content[at]);
  };
  constexpr int kScans = 100;  // a progressive JPEG has about ten; each takes the time of a whole picture
  bool frame = false;
  int scans = 0;
  for (size_t at = kJpegStart.size();;) {
    if (byte(at) != 0xFF)
      fail(Fault::data, "{}: byte {}: expected a JPEG marker, found {:#04x}; the file is damaged", path, at,
           byte(at));
    while (byte(at) == 0xFF) ++at;
    const int marker = byte(at++);
    if (marker == 0xD9) break;
    byte(at + 1);
    const size_t length = big_endian(content, at, 2);
    // A start of frame: precision, height, width. C4, C8 and CC are not frames.
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      byte(at + 6);
      check_size(path, big_endian(content, at + 5, 2), big_endian(content, at + 3, 2));
      frame = true;
    }
    if (marker == 0xC4) check_huffman(path, content, at + 2, at + length);
    at += length;
    if (marker == 0xDA) {
      if (++scans > kScans)
        fail(Fault::data, "{}: byte {}: expected a JPEG of at most {} scans, found more", path, at, kScans);
      const auto coded = [&] { return byte(at + 1) == 0 || (byte(at + 1) >= 0xD0 && byte(at + 1) <= 0xD7); };
      while (byte(at) != 0xFF || coded()) ++at;
    }
  }
  if (!frame || !scans) fail(Fault::data, "{}: expected a JPEG with a frame and a scan, found none", path);
}

}  // namespace

void check_image(const std::string& path, const std::string& content) {
  if (starts_with(content, kPngStart)) check_png(path, content);
  else if (starts_with(content, kJpegStart)) check_jpeg(path, content);
  else fail(Fault::data, "{}: expected a JPEG or PNG, found the start of neither", path);
}

Image decode_image(const std::string& path, const std::string& content) {
  check_image(path, content);
#ifdef DAE_LIBJPEG
  if (starts_with(content, kJpegStart)) return decode_jpeg(path, content);
#endif
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(content.data()), int(content.size()), &width,
                            &height, &channels, 3),
      stbi_image_free);
  if (!pixels)
    fail(Fault::data, "{}: expected an image that can be decoded, found: {}", path, stbi_failure_reason());
  return {height, width, {pixels.get(), pixels.get() + int64_t(height) * width * 3}};
}

std::string jpeg_decoder() {
#ifdef DAE_LIBJPEG
  return libjpeg_name();
#else
  return "stb_image";
#endif
}

void save_png(const std::string& path, const uint8_t* bytes, int64_t height, int64_t width,
              int64_t channels) {
  std::string png;
  const auto append = [](void* out, void* data, int size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data), size_t(size));
  };
  if (!stbi_write_png_to_func(append, &png, int(width), int(height), int(channels), bytes,
                              int(width * channels)))
    fail(Fault::internal, "{}: {} x {} x {} could not be made a PNG", path, height, width, channels);
  write_file(path, png);
}

}  // namespace dae
