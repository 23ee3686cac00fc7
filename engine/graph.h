// Work on CUDA recorded once and launched as a whole, as often as wanted (a CUDA graph; on the emulated
// device a list of launches). What is to differ between launches must lie in device memory that is written
// before.
#pragma once
#include <functional>
#include <memory>

#include "kernels/gpu.h"

struct Arena;  // memory.h

class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  ~Graph();
  // Runs `work`, in which the host does what it always does and the device nothing. Tensors that it makes
  // hold values after launch(), those of the last launch. Fault::usage if it crosses to the host or back.
  void record(const std::function<void()>& work);
  void launch();
  explicit operator bool() const { return graph_ != nullptr; }

 private:
  GpuGraph* graph_ = nullptr;
  std::shared_ptr<Arena> arena_;
};
