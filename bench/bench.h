// The op table in timing mode: what is measured, and against which ceiling. A row is a name, the work it
// cannot avoid, and a closure; rows of the same op and shape with other variants (another kernel, a library,
// a GPU) stand beside each other in every report.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/memory.h"
#include "train/machine.h"

namespace bench {

// Bytes that the input sets of a row take together, about, on a GPU; kFootprint on the CPU.
inline constexpr double kGpuFootprint = kCuda == CudaBuild::emulated ? 1 : 256e6;

Ceiling measure_gpu_ceiling();

// Row::fewer of a convolution: F(2x2, 3x3), the largest saving of those in kernels/conv/winograd.cpp.
inline constexpr double kWinograd = 2.25;

struct Row {
  std::string op, shape, variant;  // "conv2d", "64x16x16x64 k5 s2", "cpu"
  // Of one run: multiplications and additions of the formula, though an algorithm may do with fewer; what has
  // to be read and written.
  double flops = 0, bytes = 0;
  double fewer = 1;  // times fewer multiplications that the fastest algorithm does (Winograd)
  int threads = 0;   // that it uses; 0: all
  int busy = 0;      // other processes that keep a processor busy meanwhile
  Dtype dtype = Dtype::f32;
  Device device = Device::cpu;
  // Makes the inputs, normal random and enough sets of them to fill the footprint, and returns what is timed:
  // run `turn` uses set turn modulo their number, and returns when the work is done; on a GPU when it is
  // queued.
  std::function<std::function<void(int64_t turn)>()> prepare;
  // On a GPU so many runs are captured as one graph, whose launches are timed, so that the host's work does
  // not count. 0: they are timed one by one as they are.
  int64_t captured = 0;
  std::string name() const { return op + " " + shape; }
};

// On CUDA in a type of activations; on the emulated device the same rows at tiny sizes.
std::vector<Row> op_rows(Device device, Dtype dtype);
std::vector<Row> step_rows(Device device, Dtype dtype);
// Each variant of the heavy kernels (kernels/defaults.h) that takes the shape, over those of the models.
std::vector<Row> kernel_rows(Dtype dtype);
int64_t sets_for(Device device, double bytes);  // how many sets of inputs fill the footprint
std::string variant_name(const std::string& variant, Dtype dtype);  // "wgmma bf16"

Timing time_gpu(const std::function<void(int64_t)>& run,
                double seconds);  // as time_runs, by the device's clock

}  // namespace bench
