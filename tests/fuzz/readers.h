// Used by the fuzzers and the test of their corpus: reads any bytes as a file and touches everything that the
// reader returns. A file may be refused with Fault::data; any other error is a bug.
#pragma once
#include <cstdlib>

#include "data/files/file.h"
#include "data/files/tensor_file.h"
#include "data/images/image.h"
#include "kernels/device/error.h"

namespace dae {

template <class F>
void refused_or_read(F&& read) {
  try {
    read();
  } catch (const Error& e) {
    if (e.fault != Fault::data) std::abort();
  }
}

// Reads every byte of every entry.
inline void touch(const std::vector<TensorEntry>& entries) {
  uint32_t crc = 0;
  for (const TensorEntry& e : entries) {
    if (byte_size(element_size(e.dtype), e.shape) != int64_t(e.size)) std::abort();
    crc = crc_of({static_cast<const char*>(e.bytes), e.size}, crc);
  }
}

inline void read_safetensors(const std::string& content) {
  refused_or_read([&] { touch(Safetensors("fuzz", content).entries()); });
}
inline void read_tensors(const std::string& content) {  // zip, pickle, npz
  refused_or_read([&] { touch(TensorFile("fuzz", content).entries()); });
}
inline void read_image(const std::string& content) {
  refused_or_read([&] {
    const Image image = decode_image("fuzz", content);
    if (int64_t(image.bytes.size()) != image.height * image.width * 3) std::abort();
  });
}

}  // namespace dae
