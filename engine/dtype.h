// Element types, by what they are used for:
//   compute type   activations: f32, f64 (CPU only), bf16 or f16 (CUDA only)
//   wide type      parameters, statistics, optimizer state and losses: f64 in an f64 run, otherwise f32
//   i64            indices and labels
#pragma once
#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/device/device.h"
#include "kernels/device/error.h"

namespace dae {

enum class Dtype : uint8_t { f32, f64, bf16, f16, i64 };
const char* name(Dtype dtype);              // "f32"
const char* file_name(Dtype dtype);         // "F32", the name in safetensors
int64_t size_of(Dtype dtype);               // in bytes
Dtype dtype_from(const std::string& name);  // "f32", "f64", "bf16" or "f16"; Fault::usage for any other name
constexpr Dtype wide(Dtype dtype) { return dtype == Dtype::f64 ? Dtype::f64 : Dtype::f32; }

template <class T>
constexpr Dtype dtype_of() {
  if constexpr (std::is_same_v<T, float>) return Dtype::f32;
  else if constexpr (std::is_same_v<T, double>) return Dtype::f64;
  else if constexpr (std::is_same_v<T, bf16>) return Dtype::bf16;
  else if constexpr (std::is_same_v<T, f16>) return Dtype::f16;
  else {
    static_assert(std::is_same_v<T, int64_t>);
    return Dtype::i64;
  }
}

// Calls f(T{}), where T is the C++ type of `dtype`, and returns its result.
template <class F>
decltype(auto) visit(Dtype dtype, F&& f) {
  switch (dtype) {
    case Dtype::f32:
      return f(float{});
    case Dtype::f64:
      return f(double{});
    case Dtype::bf16:
      return f(bf16{});
    case Dtype::f16:
      return f(f16{});
    case Dtype::i64:
      return f(int64_t{});
  }
  fail(Fault::internal, "dtype: {} is none", int(dtype));
}

}  // namespace dae
