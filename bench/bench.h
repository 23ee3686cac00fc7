// The op table in timing mode: what is measured, and against which ceiling. A row is a name, the work it
// cannot avoid, and a closure; rows of the same op and shape with other variants (another kernel, a library,
// a GPU) stand beside each other in every report.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/memory.h"

namespace bench {

// Bytes that the input sets of a row take together, about: more than the second-level cache of a GPU or a
// processor has, so that a run finds its inputs in memory.
inline constexpr double kFootprint = 64e6, kGpuFootprint = kCuda == CudaBuild::emulated ? 1 : 256e6;

// What a row may divide by. Measured by our own loops and kernels before anything else.
struct Ceiling {
  int threads = 0;     // of the processor; 0: a GPU
  double flops = 0;    // FLOP/s in f32. CPU: multiply-adds that wait for nothing; GPU: the fastest matmul
  double flops16 = 0;  // GPU: the same in bf16, on tensor cores
  double bytes = 0;    // read and written a second; CPU: by y = x or y = y / 2 + x; GPU: by a copy
};
Ceiling measure_ceiling(int threads);
Ceiling measure_gpu_ceiling();

struct Row {
  std::string op, shape, variant;  // "conv2d", "64x16x16x64 k5 s2", "cpu"
  // Of one run: multiplications and additions of the formula, though an algorithm may do with fewer; what has
  // to be read and written.
  double flops = 0, bytes = 0;
  int threads = 0;  // that it uses; 0: all
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

struct Timing {
  double median = 0, low = 0, high = 0;  // seconds; low and high: quartiles
  int runs = 0;
};
// At least two runs to warm up, then for `seconds`, at least five times. take(turn): the seconds of a run.
Timing repeat(const std::function<double(int64_t)>& take, double seconds);
Timing time(const std::function<void(int64_t)>& run, double seconds);      // by the processor's clock
Timing time_gpu(const std::function<void(int64_t)>& run, double seconds);  // by the device's

}  // namespace bench
