// A named tensor of a file, whichever format it is in.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

struct TensorEntry {
  std::string name, dtype;  // safetensors' names: "F32", "F64", "F16", "BF16", "I64", "I32", "U8", "BOOL" ...
  std::vector<int64_t> shape;
  const void* bytes;  // row-major, little-endian, of any alignment; owned by the reader, or by the caller
                      // when saving
  size_t size;        // bytes
};

int64_t element_size(std::string_view dtype);  // bytes; 0: there is no such dtype
// element_size times the product of the shape; -1 if that is more than 2^60 or a size is negative.
int64_t byte_size(int64_t element_size, const std::vector<int64_t>& shape);
