#include "engine/tensor.h"

#include <cstring>

#include "kernels/convert/convert.h"
#include "kernels/device/gpu.h"

namespace dae {

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

namespace {

struct DtypeName {
  Dtype dtype;
  const char *name, *in_files;
  int64_t size;
};
constexpr DtypeName kDtypes[] = {{Dtype::f32, "f32", "F32", 4},
                                 {Dtype::f64, "f64", "F64", 8},
                                 {Dtype::bf16, "bf16", "BF16", 2},
                                 {Dtype::f16, "f16", "F16", 2},
                                 {Dtype::i64, "i64", "I64", 8}};

// Converts between two tensors on one device. On CUDA only f32, bf16 and f16 can be converted.
void convert_here(const Tensor& to, const Tensor& from) {
  if (dry_run) return;
  if (to.device() == Device::cpu) {
    visit(to.dtype(), [&](auto t) {
      visit(from.dtype(),
            [&](auto f) { convert(Cpu{}, to.data<decltype(t)>(), from.data<decltype(f)>(), to.size()); });
    });
    return;
  }
  dispatch(to, [&]<class To>(auto where) {
    dispatch(from, [&]<class From>(auto) {
      if constexpr (sizeof(From) <= sizeof(float))  // excludes f64, which never lies on CUDA
        convert(where, to.data<To>(), from.data<From>(), to.size());
    });
  });
}

// Copies between two tensors of one type, on any devices.
void copy_bytes(const Tensor& to, const Tensor& from) {
  const size_t bytes = size_t(to.bytes());
  if (!bytes || dry_run) return;
  const bool to_cuda = to.device() == Device::cuda, from_cuda = from.device() == Device::cuda;
  if constexpr (kHasCuda) {
    if (to_cuda && from_cuda) return gpu_copy(to.raw(), from.raw(), bytes);
    if (to_cuda) return gpu_upload(to.raw(), from.raw(), bytes);
    if (from_cuda) return gpu_download(to.raw(), from.raw(), bytes);
  }
  std::memcpy(to.raw(), from.raw(), bytes);
}

}  // namespace

const char* name(Dtype dtype) { return kDtypes[int(dtype)].name; }
const char* file_name(Dtype dtype) { return kDtypes[int(dtype)].in_files; }
int64_t size_of(Dtype dtype) { return kDtypes[int(dtype)].size; }
Dtype dtype_from(const std::string& text) {
  for (const DtypeName& d : kDtypes)
    if (d.dtype != Dtype::i64 && text == d.name) return d.dtype;
  fail(Fault::usage, "dtype: expected f32, f64, bf16 or f16, found \"{}\"", text);
}

Tensor::Tensor(const Shape& shape, Dtype dtype, Device device)
    : block_(allocate(device, shape, dtype)), data_(block_->data), shape_(shape), dtype_(dtype) {}

Tensor Tensor::full(const Shape& shape, double value, Dtype dtype, Device device) {
  Tensor t(shape, dtype, device);
  if (dry_run) return t;
  if (device == Device::cpu)
    visit(dtype, [&](auto zero) { fill(Cpu{}, t.data<decltype(zero)>(), value, t.size()); });
  else dispatch(t, [&]<class T>(auto where) { fill(where, t.data<T>(), value, t.size()); });
  return t;
}
Tensor Tensor::zeros(const Shape& shape, Dtype dtype, Device device) { return full(shape, 0, dtype, device); }

Tensor Tensor::of(const Shape& shape, const std::vector<double>& values, Dtype dtype) {
  if (int64_t(values.size()) != shape.size())
    fail(Fault::internal, "tensor: {} values for shape {}", values.size(), shape.str());
  Tensor t(shape, dtype);
  visit(dtype,
        [&](auto zero) { convert(Cpu{}, t.data<decltype(zero)>(), values.data(), int64_t(values.size())); });
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
  return part(0, shape);
}

Tensor Tensor::part(int64_t begin, const Shape& shape) const {
  if (begin < 0 || begin + shape.size() > size())
    fail(Fault::internal, "tensor: {} from element {} on has no part {}", shape_.str(), begin, shape.str());
  Tensor t = detach();
  t.data_ = static_cast<char*>(data_) + begin * size_of(dtype_);
  t.shape_ = shape;
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = like();
  copy_bytes(t, *this);
  return t;
}

void Tensor::copy_from(const Tensor& source) {
  if (!(source.shape() == shape_))
    fail(Fault::internal, "tensor: copy of shape {} into {}", source.shape().str(), shape_.str());
  if (source.dtype() == dtype_) copy_bytes(*this, source);
  else if (source.device() == device()) convert_here(*this, source);
  else if (device() == Device::cuda) copy_bytes(*this, source.to(dtype_));
  else convert_here(*this, source.to(Device::cpu));
}

Tensor Tensor::to(Dtype dtype) const {
  if (dtype == dtype_) return detach();
  Tensor t = like(shape_, dtype);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Device device) const {
  if (device == this->device()) return detach();
  Tensor t(shape_, dtype_, device);
  t.copy_from(*this);
  return t;
}

double Tensor::item() const {
  if (size() != 1) fail(Fault::internal, "tensor: item() of a tensor of shape {}", shape_.str());
  return values()[0];
}

std::vector<double> Tensor::values() const {
  const Tensor host = to(Device::cpu);
  std::vector<double> out(size_t(size()), 0.0);
  visit(dtype_, [&](auto zero) { convert(Cpu{}, out.data(), host.data<decltype(zero)>(), size()); });
  return out;
}

void Tensor::misused(Dtype asked) const {
  fail(Fault::internal, "tensor of shape {}: it holds {} on {}, asked for as {} on {}", shape_.str(),
       name(dtype_), name(device()), name(asked), name(reachable));
}

}  // namespace dae
