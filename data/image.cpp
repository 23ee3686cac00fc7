#include "data/image.h"

#include <zlib.h>

#include "data/file.h"
#include "kernels/error.h"

#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

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

void save_npz(const std::string& path, const uint8_t* bytes, std::vector<int64_t> shape) {
  uint32_t size = 1;
  std::string dims;
  for (int64_t d : shape) size *= uint32_t(d), dims += std::to_string(d) + ", ";
  std::string npy = "{'descr': '|u1', 'fortran_order': False, 'shape': (" + dims + "), }";
  npy.resize((npy.size() + 10 + 1 + 63) / 64 * 64 - 11, ' ');
  npy += '\n';
  npy = std::string("\x93NUMPY\x01\x00", 8) + char(npy.size() & 255) + char(npy.size() >> 8) + npy;
  const auto little = [](uint64_t value, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += char(value >> (8 * i) & 255);
    return out;
  };
  const std::string name = "arr_0.npy";
  uLong crc = crc32(0, reinterpret_cast<const Bytef*>(npy.data()), uInt(npy.size()));
  crc = crc32(crc, bytes, size);
  const uint32_t length = uint32_t(npy.size()) + size;
  // zip: a local header, the stored bytes, the central directory with one entry, its end record; dated
  // 1980-01-01.
  const std::string common = little(0, 2) + little(0, 2) + little(0, 2) + little(0x21, 2) + little(crc, 4) +
                             little(length, 4) + little(length, 4) + little(name.size(), 2) + little(0, 2);
  const std::string local = little(0x04034b50, 4) + little(20, 2) + common + name;
  const std::string central = little(0x02014b50, 4) + little(20, 2) + little(20, 2) + common + little(0, 2) +
                              little(0, 2) + little(0, 2) + little(0, 4) + little(0, 4) + name;
  const std::string end = little(0x06054b50, 4) + little(0, 4) + little(1, 2) + little(1, 2) +
                          little(central.size(), 4) + little(local.size() + length, 4) + little(0, 2);
  write_file(path, [&](const auto& write) {
    write(local.data(), local.size());
    write(npy.data(), npy.size());
    write(bytes, size);
    write((central + end).data(), central.size() + end.size());
  });
}
