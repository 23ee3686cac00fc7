// A tensor: a handle on memory with a shape, an element type and a device. Copies share memory and, if the
// tensor was recorded, the node of the tape that made it (autograd.h).
#pragma once
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "engine/memory.h"
#include "kernels/gpu.h"

// The device whose memory data() may give on this thread: the CPU's, and inside dispatch() that of the
// kernel.
inline thread_local Device reachable = Device::cpu;

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

  explicit operator bool() const { return block_ != nullptr; }
  const Shape& shape() const { return shape_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_[i]; }  // negative: from the back
  int64_t size() const { return shape_.size(); }
  int64_t rows() const {
    return shape_.rank() ? size() / std::max<int64_t>(1, shape_.back()) : 1;
  }  // all but the last
  int64_t bytes() const { return size() * size_of(dtype_); }
  Dtype dtype() const { return dtype_; }
  Device device() const { return block_ ? block_->device : Device::cpu; }

  // The elements. T must be the element type, and the device the reachable one (checked).
  template <class T>
  T* data() const {
    if (dtype_ != dtype_of<T>() || device() != reachable) misused(dtype_of<T>());
    return static_cast<T*>(data_);
  }
  void* raw() const { return data_; }

  Tensor like() const { return Tensor(shape_, dtype_, device()); }  // same everything, no values
  Tensor like(const Shape& shape) const { return Tensor(shape, dtype_, device()); }
  Tensor like(const Shape& shape, Dtype dtype) const { return Tensor(shape, dtype, device()); }
  Tensor detach() const;                        // the same memory, unknown to the tape
  Tensor with_shape(const Shape& shape) const;  // the same memory seen as another shape, unknown to the tape
  Tensor clone() const;                         // own memory, unknown to the tape
  Tensor part(int64_t begin, const Shape& shape) const;  // the elements from `begin` on, as with_shape
  Tensor to(Dtype dtype) const;                          // converted copy (or itself), unknown to the tape
  Tensor to(Device device) const;                        // likewise; a copy to the host waits for the device
  void copy_from(const Tensor& source);  // in place; same shape; converts the type, crosses devices
  const Block* block() const { return block_.get(); }
  bool alone() const { return block_.use_count() == 1; }  // nobody else sees this memory
  void made_by(const char* op) const {                    // the first one stands in the report on exhaustion
    if (!*block_->op) block_->op = op;
  }

  double item() const;                 // the value of a tensor of one element; waits for the device
  std::vector<double> values() const;  // all of them, on the host; waits for the device

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

// The elements, or null for no tensor.
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

// Calls f(where, T{}) with the device tag and the element type of x: Cpu with float or double, and where CUDA
// is built Cuda with float, bf16 or f16. In a dry run it calls nothing.
template <class F>
void dispatch(const Tensor& x, F&& f) {
  if (dry_run) return;
  const Reach reach(x.device());
  if (x.device() == Device::cpu) {
    if (x.dtype() == Dtype::f32) return f(Cpu{}, float{});
    if (x.dtype() == Dtype::f64) return f(Cpu{}, double{});
  }
  if constexpr (kHasCuda) {
    if (x.device() == Device::cuda) {
      if (x.dtype() == Dtype::f32) return f(Cuda{gpu_stream()}, float{});
      if (x.dtype() == Dtype::bf16) return f(Cuda{gpu_stream()}, bf16{});
      if (x.dtype() == Dtype::f16) return f(Cuda{gpu_stream()}, f16{});
    }
  }
  fail(Fault::internal,
       "dispatch: expected f32 or f64 on the CPU or f32, bf16 or f16 on CUDA, found {} on {}",
       name(x.dtype()), name(x.device()));
}
