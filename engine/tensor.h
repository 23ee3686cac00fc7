// A tensor is a handle on memory with a shape, an element type and a device. Copies share the memory and, if
// the tensor was recorded, its node of the tape (autograd.h).
#pragma once
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "engine/memory.h"
#include "kernels/device/gpu.h"

namespace dae {

// The device whose memory data() may return on this thread: the CPU, or inside dispatch() the kernel's
// device.
inline thread_local Device reachable = Device::cpu;

struct Node;  // autograd.h

class Tensor {
 public:
  Tensor() = default;  // no tensor, false in a condition
  explicit Tensor(const Shape& shape, Dtype dtype = Dtype::f32,
                  Device device = Device::cpu);  // uninitialised
  static Tensor full(const Shape& shape, double value, Dtype dtype = Dtype::f32, Device device = Device::cpu);
  static Tensor zeros(const Shape& shape, Dtype dtype = Dtype::f32, Device device = Device::cpu);
  // Returns a tensor on the CPU with these values, in row-major order. values.size() must be shape.size().
  static Tensor of(const Shape& shape, const std::vector<double>& values, Dtype dtype = Dtype::f32);

  explicit operator bool() const { return block_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_[i]; }  // a negative i counts from the last dimension
  int64_t size() const { return shape_.size(); }
  // Returns the product of all dimensions but the last.
  int64_t rows() const { return shape_.rank() ? size() / std::max<int64_t>(1, shape_.back()) : 1; }
  int64_t bytes() const { return size() * size_of(dtype_); }
  Dtype dtype() const { return dtype_; }
  Device device() const { return block_ ? block_->device : Device::cpu; }

  // Returns the address of the first element. Fault::internal unless T is the element type and the tensor
  // lies on the reachable device.
  template <class T>
  T* data() const {
    if (dtype_ != dtype_of<T>() || device() != reachable) misused(dtype_of<T>());
    return static_cast<T*>(data_);
  }
  void* raw() const { return data_; }

  // Each returns a new tensor with uninitialised values; what is not given is as in this one.
  Tensor like() const { return Tensor(shape_, dtype_, device()); }
  Tensor like(const Shape& shape) const { return Tensor(shape, dtype_, device()); }
  Tensor like(const Shape& shape, Dtype dtype) const { return Tensor(shape, dtype, device()); }

  // The tape does not know what these return.
  Tensor detach() const;                                 // the same memory
  Tensor with_shape(const Shape& shape) const;           // the same memory as another shape of the same size
  Tensor clone() const;                                  // a copy
  Tensor part(int64_t begin, const Shape& shape) const;  // the same memory, from element `begin` on
  // These two return a copy, or the same memory if nothing changes. A copy to the host waits for the device.
  Tensor to(Dtype dtype) const;
  Tensor to(Device device) const;

  // Writes the values of `source` into this memory. The shapes must be equal; types and devices may differ.
  void copy_from(const Tensor& source);
  const Block* block() const { return block_.get(); }
  // Names the op that made this memory, for the message when a device has no more. The first name stays.
  void made_by(const char* op) const {
    if (!*block_->op) block_->op = op;
  }

  double item() const;                 // the value of a tensor of one element; waits for the device
  std::vector<double> values() const;  // all values in row-major order; waits for the device

  const std::shared_ptr<Node>& node() const { return node_; }
  bool tracked() const { return node_ != nullptr; }
  void set_node(std::shared_ptr<Node> node) { node_ = std::move(node); }

 private:
  [[noreturn]] void misused(Dtype asked) const;
  std::shared_ptr<Block> block_;
  void* data_ = nullptr;
  std::shared_ptr<Node> node_;
  Shape shape_;
  Dtype dtype_ = Dtype::f32;
};

// Returns the address of the first element, or null for no tensor.
template <class T>
T* data_of(const Tensor& t) {
  return t ? t.data<T>() : nullptr;
}

class Reach {  // makes a device's memory reachable while it lives
 public:
  explicit Reach(Device device) : before_(std::exchange(reachable, device)) {}
  ~Reach() { reachable = before_; }
  Reach(const Reach&) = delete;

 private:
  Device before_;
};

// Calls f<T>(where) with the element type of x and the tag of its device: Cpu with float or double, or Cuda with
// float, bf16 or f16 in a build with CUDA. Calls nothing in a dry run. Fault::internal for any other type.
template <class F>
void dispatch(const Tensor& x, F&& f) {
  if (dry_run) return;
  const Reach reach(x.device());
  if (x.device() == Device::cpu) {
    if (x.dtype() == Dtype::f32) return f.template operator()<float>(Cpu{});
    if (x.dtype() == Dtype::f64) return f.template operator()<double>(Cpu{});
  }
  if constexpr (kHasCuda) {
    if (x.device() == Device::cuda) {
      if (x.dtype() == Dtype::f32) return f.template operator()<float>(Cuda{gpu_stream()});
      if (x.dtype() == Dtype::bf16) return f.template operator()<bf16>(Cuda{gpu_stream()});
      if (x.dtype() == Dtype::f16) return f.template operator()<f16>(Cuda{gpu_stream()});
    }
  }
  fail(Fault::internal,
       "dispatch: expected f32 or f64 on the CPU or f32, bf16 or f16 on CUDA, found {} on {}",
       name(x.dtype()), name(x.device()));
}

}  // namespace dae
