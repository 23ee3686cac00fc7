// Compares with PyTorch's results, which make_golden.py recorded in tests/golden/*.safetensors: the
// conversion of PyTorch's layout, the initial weights that both sides compute, relative errors.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "data/files/safetensors.h"
#include "engine/module.h"
#include "engine/ops.h"

namespace dae {

// A recorded file.
class Golden {
 public:
  explicit Golden(const std::string& file) : file_(std::string(DAE_SOURCE) + "/tests/golden/" + file) {
    for (const TensorEntry& entry : file_.entries()) {
      Shape shape;
      for (const int64_t n : entry.shape) shape.push_back(n);
      const Dtype dtype = entry.dtype == "F32" ? Dtype::f32 : entry.dtype == "F64" ? Dtype::f64 : Dtype::i64;
      Tensor t(shape, dtype);
      REQUIRE(size_t(t.bytes()) == entry.size);
      std::memcpy(t.raw(), entry.bytes, entry.size);
      tensors_[entry.name] = t;
    }
  }
  const Tensor& operator[](const std::string& name) const {
    REQUIRE_MESSAGE(tensors_.contains(name), name);
    return tensors_.at(name);
  }
  double number(const std::string& key) const { return std::stod(file_.metadata().at(key)); }
  // Returns the names that begin with `prefix`, without the prefix.
  std::vector<std::string> names(const std::string& prefix) const {
    std::vector<std::string> out;
    for (const auto& [name, t] : tensors_)
      if (name.starts_with(prefix)) out.push_back(name.substr(prefix.size()));
    return out;
  }

 private:
  Safetensors file_;
  std::map<std::string, Tensor> tensors_;
};

// Permutes (N, C, H, W) to (N, H, W, C), and weights in the same way. Tensors of other ranks stay as they
// are.
inline Tensor from_torch(const Tensor& t) { return t.rank() == 4 ? permute(t, {0, 2, 3, 1}) : t; }

// Returns ||a - b|| / ||b||, or infinity if the shapes differ or a value is not finite.
inline double relative_error(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape())) return INFINITY;
  const std::vector<double> x = a.values(), y = b.values();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < x.size(); ++i) difference += (x[i] - y[i]) * (x[i] - y[i]), norm += y[i] * y[i];
  const double error = norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
  return std::isfinite(error) ? error : INFINITY;
}

// Returns `pattern` of make_golden.py: element i, in [-1, 1), is the upper 24 bits of murmur3's finalizer of
// FNV-1a(name) + i * 0x9E3779B9.
inline std::vector<double> formula_pattern(const std::string& name, int64_t count) {
  uint32_t seed = 2166136261u;
  for (const char c : name) seed = (seed ^ uint8_t(c)) * 16777619u;
  std::vector<double> u(count);
  for (int64_t i = 0; i < count; ++i) {
    uint32_t x = uint32_t(i) * 0x9E3779B9u + seed;
    x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
    x = (x ^ (x >> 13)) * 0xC2B2AE35u;
    u[i] = (x ^ (x >> 16)) / 256 / 8388608.0 - 1;
  }
  return u;
}

// Returns weights and running statistics in PyTorch's layout, computed in f64 and rounded to f32:
//   ranks 2 and 4   pattern / sqrt(size / shape[0])
//   vectors         0.2 * pattern, plus 1 for gains and variances
inline Tensor formula_values(const std::string& name, const Shape& shape) {
  std::vector<double> u = formula_pattern(name, shape.size());
  const double root = std::sqrt(double(shape.size() / shape[0]));
  const double base = name.ends_with("weight") || name.ends_with("running_var") ? 1 : 0;
  for (double& v : u) v = float(shape.rank() > 1 ? v / root : 0.2 * v + base);
  return Tensor::of(shape, u);
}
inline void fill_by_formula(const std::vector<Param*>& state) {
  for (Param* p : state)
    if (!p->counter) p->from_file(formula_values(p->name, p->file_shape()));
}

// Checks three numbers of the values in PyTorch's order: Frobenius norm, signed sum, and dot product with the
// pattern. The last two are compared relative to the norm, which bounds their rounding errors.
inline void check_summary(const std::string& name, const Tensor& in_file_order, const Tensor& expected,
                          double limit) {
  const std::vector<double> a = in_file_order.values(), u = formula_pattern(name, in_file_order.size());
  double squares = 0, total = 0, probe = 0;
  for (size_t i = 0; i < a.size(); ++i) squares += a[i] * a[i], total += a[i], probe += a[i] * u[i];
  const std::vector<double> e = expected.values();
  INFO(name, ": norm ", std::sqrt(squares), " ", e[0], ", sum ", total, " ", e[1], ", pattern ", probe, " ",
       e[2]);
  const double scale = e[0] * std::sqrt(double(a.size()));
  CHECK(std::abs(std::sqrt(squares) - e[0]) <= limit * e[0]);
  CHECK(std::abs(total - e[1]) <= limit * scale);
  CHECK(std::abs(probe - e[2]) <= limit * scale);
}

}  // namespace dae
