// A tensor: a handle on memory with a shape, an element type and a device. Copies share memory and, if the
// tensor was recorded, the node of the tape that made it (autograd.h).
#pragma once
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/memory.h"
#include "engine/shape.h"
#include "kernels/device.h"
#include "kernels/error.h"

enum class Dtype : uint8_t { f32, f64, i64 };
const char* name(Dtype dtype);  // "f32"
int64_t size_of(Dtype dtype);   // bytes
Dtype dtype_from(const std::string& name);

template <class T>
constexpr Dtype dtype_of() {
  if constexpr (std::is_same_v<T, float>) return Dtype::f32;
  else if constexpr (std::is_same_v<T, double>) return Dtype::f64;
  else {
    static_assert(std::is_same_v<T, int64_t>);
    return Dtype::i64;
  }
}

struct Node;  // autograd.h

class Tensor {
 public:
  Tensor() = default;  // no tensor: false in a condition
  explicit Tensor(const Shape& shape, Dtype dtype = Dtype::f32,
                  Device device = Device::cpu);  // uninitialised
  static Tensor full(const Shape& shape, double value, Dtype dtype = Dtype::f32, Device device = Device::cpu);
  static Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32, Device device = Device::cpu);
  // Values in row-major order; values.size() must be shape.size().
  static Tensor of(const Shape& shape, const std::vector<double>& values, Dtype dtype = Dtype::f32);

  explicit operator bool() const { return memory_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_[i]; }  // negative: from the back
  int64_t size() const { return shape_.size(); }
  int64_t rows() const {
    return shape_.rank() ? size() / std::max<int64_t>(1, shape_.back()) : 1;
  }  // all but the last
  int64_t bytes() const { return size() * size_of(dtype_); }
  Dtype dtype() const { return dtype_; }
  Device device() const { return device_; }

  // The elements. T must be the element type (checked).
  template <class T>
  T* data() const {
    if (dtype_ != dtype_of<T>()) wrong_type(dtype_of<T>());
    return static_cast<T*>(memory_.get());
  }
  void* raw() const { return memory_.get(); }

  Tensor like() const { return Tensor(shape_, dtype_, device_); }  // same everything, no values
  Tensor like(const Shape& shape) const { return Tensor(shape, dtype_, device_); }
  Tensor detach() const;                        // the same memory, unknown to the tape
  Tensor with_shape(const Shape& shape) const;  // the same memory seen as another shape, unknown to the tape
  Tensor clone() const;                         // own memory, unknown to the tape
  Tensor to(Dtype dtype) const;                 // converted copy (or itself), unknown to the tape
  void copy_from(const Tensor& source);         // in place; same shape; converts the type
  bool alone() const { return memory_.use_count() == 1; }  // nobody else sees this memory

  double item() const;                 // the value of a tensor of one element
  std::vector<double> values() const;  // all of them, on the host

  const std::shared_ptr<Node>& node() const { return node_; }
  bool tracked() const { return node_ != nullptr; }
  void set_node(std::shared_ptr<Node> node) { node_ = std::move(node); }

 private:
  [[noreturn]] void wrong_type(Dtype asked) const;
  std::shared_ptr<void> memory_;
  std::shared_ptr<Node> node_;
  Shape shape_;
  Dtype dtype_ = Dtype::f32;
  Device device_ = Device::cpu;
};

// Calls f(where, T{}) with the device tag and the element type of x: Cpu with float or double.
template <class F>
decltype(auto) dispatch(const Tensor& x, F&& f) {
  if (x.dtype() == Dtype::f64) return f(Cpu{}, double{});
  if (x.dtype() == Dtype::f32) return f(Cpu{}, float{});
  fail(Fault::internal, "dispatch: expected an f32 or f64 tensor, found {}", name(x.dtype()));
}
