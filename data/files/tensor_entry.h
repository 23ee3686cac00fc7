// A named tensor of a file, in any format.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dae {

struct TensorEntry {
  std::string name, dtype;  // safetensors' names: "F32", "F64", "F16", "BF16", "I64", "I32", "U8", "BOOL" ...
  std::vector<int64_t> shape;
  // The values: row-major, little-endian, of any alignment. The reader of the file owns them, or the caller
  // of a function that saves.
  const void* bytes;
  size_t size;  // in bytes
};

int64_t element_size(std::string_view dtype);  // in bytes; 0 for an unknown dtype
// Returns element_size times the product of `shape`, or -1 if that is more than 2^60 or a size is negative.
int64_t byte_size(int64_t element_size, const std::vector<int64_t>& shape);

}  // namespace dae
