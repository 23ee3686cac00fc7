#include "data/files/tensor_entry.h"

#include <map>

namespace dae {

int64_t element_size(std::string_view dtype) {
  static const std::map<std::string_view, int64_t> sizes = {
      {"F64", 8},  {"I64", 8}, {"U64", 8}, {"F32", 4}, {"I32", 4}, {"U32", 4}, {"F16", 2},
      {"BF16", 2}, {"I16", 2}, {"U16", 2}, {"I8", 1},  {"U8", 1},  {"BOOL", 1}};
  const auto found = sizes.find(dtype);
  return found == sizes.end() ? 0 : found->second;
}

int64_t byte_size(int64_t element_size, const std::vector<int64_t>& shape) {
  constexpr int64_t largest = int64_t{1} << 60;
  int64_t bytes = element_size;
  bool empty = false;
  for (const int64_t n : shape) {
    if (n < 0 || n > largest) return -1;
    if (n == 0) empty = true;
    else if (bytes > largest / n) return -1;
    else bytes *= n;
  }
  return empty ? 0 : bytes;
}

}  // namespace dae
