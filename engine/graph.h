// A CUDA graph: work on the device that is recorded once and launched as a whole, any number of times. On the
// emulated device it is a list of launches. Values that differ between launches must lie in device memory and
// be written before each launch.
#pragma once
#include <functional>
#include <memory>

#include "kernels/device/gpu.h"

namespace dae {

struct Arena;  // memory.h

class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  ~Graph();
  // Runs `work` on the host and records what it asks of the device, which does nothing yet. The tensors that
  // `work` makes hold values only after launch(): those of the last launch. Fault::usage if `work` copies
  // between the host and the device.
  void record(const std::function<void()>& work);
  void launch();
  explicit operator bool() const { return graph_ != nullptr; }

 private:
  GpuGraph* graph_ = nullptr;
  std::shared_ptr<Arena> arena_;
};

}  // namespace dae
