// Reads the elements of a file's tensor as numbers.
#pragma once
#include <doctest/doctest.h>

#include <cstring>
#include <type_traits>

#include "data/files/tensor_entry.h"
#include "kernels/device/types.h"

namespace dae {

inline double element(const TensorEntry& e, size_t i) {
  const auto as = [&](auto value) {
    std::memcpy(&value, static_cast<const char*>(e.bytes) + i * sizeof value, sizeof value);
    if constexpr (sizeof value == 2 && !std::is_integral_v<decltype(value)>) return double(float(value));
    else return double(value);
  };
  if (e.dtype == "U8" || e.dtype == "BOOL") return as(uint8_t{});
  if (e.dtype == "I8") return as(int8_t{});
  if (e.dtype == "U16") return as(uint16_t{});
  if (e.dtype == "I16") return as(int16_t{});
  if (e.dtype == "U32") return as(uint32_t{});
  if (e.dtype == "I32") return as(int32_t{});
  if (e.dtype == "U64") return as(uint64_t{});
  if (e.dtype == "I64") return as(int64_t{});
  if (e.dtype == "F32") return as(float{});
  if (e.dtype == "F64") return as(double{});
  if (e.dtype == "BF16") return as(bf16{});
  REQUIRE(e.dtype == "F16");
  return as(f16{});
}

// Checks that the elements are 0, 1, 2, ... in C order, or for booleans whether these are odd.
inline void check_counts(const TensorEntry& e) {
  INFO(e.name, " ", e.dtype);
  const size_t n = e.size / size_t(element_size(e.dtype));
  for (size_t i = 0; i < n; ++i) CHECK(element(e, i) == double(e.dtype == "BOOL" ? i % 2 : i));
}

}  // namespace dae
