#include "engine/tensor.h"

#include <cstring>

#include "kernels/parallel.h"

void Shape::push_back(int64_t d) {
  if (rank_ == kMaxRank) fail(Fault::internal, "shape: more than {} dimensions", int(kMaxRank));
  dims_[rank_++] = d;
}
bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && std::equal(begin(), end(), other.begin());
}
std::string Shape::str() const {
  std::string s = "(";
  for (int i = 0; i < rank_; ++i) s += (i ? ", " : "") + std::to_string(dims_[i]);
  return s + ")";
}

const char* name(Dtype dtype) {
  switch (dtype) {
    case Dtype::f32:
      return "f32";
    case Dtype::f64:
      return "f64";
    case Dtype::i64:
      return "i64";
  }
  return "?";
}
int64_t size_of(Dtype dtype) { return dtype == Dtype::f32 ? 4 : 8; }
Dtype dtype_from(const std::string& text) {
  for (Dtype d : {Dtype::f32, Dtype::f64, Dtype::i64})
    if (text == name(d)) return d;
  fail(Fault::usage, "dtype: expected f32 or f64, found \"{}\"", text);
}

namespace {

// Calls f(T{}) with the element type.
template <class F>
void visit(Dtype dtype, F&& f) {
  switch (dtype) {
    case Dtype::f32:
      return f(float{});
    case Dtype::f64:
      return f(double{});
    case Dtype::i64:
      return f(int64_t{});
  }
}

}  // namespace

Tensor::Tensor(const Shape& shape, Dtype dtype, Device device)
    : memory_(allocate(device, size_t(shape.size() * size_of(dtype)))),
      shape_(shape),
      dtype_(dtype),
      device_(device) {}

Tensor Tensor::full(const Shape& shape, double value, Dtype dtype, Device device) {
  Tensor t(shape, dtype, device);
  visit(dtype, [&](auto zero) {
    using T = decltype(zero);
    T* p = t.data<T>();
    parallel_for(t.size(), kStreamGrain, [&](int64_t b, int64_t e) { std::fill(p + b, p + e, T(value)); });
  });
  return t;
}
Tensor Tensor::zeros(const Shape& shape, Dtype dtype, Device device) { return full(shape, 0, dtype, device); }

Tensor Tensor::of(const Shape& shape, const std::vector<double>& values, Dtype dtype) {
  if (int64_t(values.size()) != shape.size())
    fail(Fault::internal, "tensor: {} values for shape {}", values.size(), shape.str());
  Tensor t(shape, dtype);
  visit(dtype, [&](auto zero) {
    using T = decltype(zero);
    std::transform(values.begin(), values.end(), t.data<T>(), [](double v) { return T(v); });
  });
  return t;
}

Tensor Tensor::detach() const {
  Tensor t = *this;
  t.node_ = nullptr;
  return t;
}

Tensor Tensor::with_shape(const Shape& shape) const {
  if (shape.size() != size())
    fail(Fault::internal, "tensor: {} cannot be seen as {}", shape_.str(), shape.str());
  Tensor t = detach();
  t.shape_ = shape;
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = like();
  if (size()) std::memcpy(t.raw(), raw(), size_t(bytes()));
  return t;
}

void Tensor::copy_from(const Tensor& source) {
  if (!(source.shape() == shape_))
    fail(Fault::internal, "tensor: copy of shape {} into {}", source.shape().str(), shape_.str());
  visit(dtype_, [&](auto to) {
    visit(source.dtype(), [&](auto from) {
      using To = decltype(to);
      using From = decltype(from);
      To* out = data<To>();
      const From* in = source.data<From>();
      parallel_for(size(), kStreamGrain, [&](int64_t b, int64_t e) {
        for (int64_t i = b; i < e; ++i) out[i] = To(in[i]);
      });
    });
  });
}

Tensor Tensor::to(Dtype dtype) const {
  if (dtype == dtype_) return detach();
  Tensor t(shape_, dtype, device_);
  t.copy_from(*this);
  return t;
}

double Tensor::item() const {
  if (size() != 1) fail(Fault::internal, "tensor: item() of a tensor of shape {}", shape_.str());
  return values()[0];
}

std::vector<double> Tensor::values() const {
  std::vector<double> out(size_t(size()), 0.0);
  visit(dtype_, [&](auto zero) {
    using T = decltype(zero);
    std::copy_n(data<T>(), size(), out.begin());
  });
  return out;
}

void Tensor::wrong_type(Dtype asked) const {
  fail(Fault::internal, "tensor of shape {}: it holds {}, asked for as {}", shape_.str(), name(dtype_),
       name(asked));
}
