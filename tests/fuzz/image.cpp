#include <cstring>

#include "tests/fuzz/readers.h"

using namespace dae;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string content(reinterpret_cast<const char*>(data), size);
  // Skips large PNGs: they are slow under sanitizers and reach no other code. Width and height stand at byte
  // 16.
  if (size > 24 && content[0] == '\x89' && (data[16] | data[17] | data[20] | data[21])) return 0;
  read_image(content);
  return 0;
}

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

// A PNG chunk ends in a CRC. The mutator corrects it; otherwise the check would refuse every mutation.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned) {
  size = LLVMFuzzerMutate(data, size, most);
  if (size < 8 || std::memcmp(data, "\x89PNG", 4) != 0) return size;
  const auto big_endian = [&](size_t at) {
    return uint32_t(data[at]) << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
  };
  for (size_t at = 8; size - at >= 12;) {
    const size_t length = big_endian(at);
    if (length > size - at - 12) break;
    const uint32_t crc = crc_of({reinterpret_cast<const char*>(data + at + 4), length + 4});
    for (int i = 0; i < 4; ++i) data[at + 8 + length + size_t(i)] = uint8_t(crc >> (24 - 8 * i));
    at += 12 + length;
  }
  return size;
}
