// The benchmark's rows: what is timed, and the least work that it needs. The report compares that work with
// the ceilings of the machine. Rows of one op and shape with different variants (another kernel, a library, a
// GPU) stand side by side in every report.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/memory.h"
#include "train/machine/ceilings.h"

namespace dae {

namespace bench {

// The bytes that the input sets of a row take together on a GPU, approximately. On the CPU it is kFootprint.
inline constexpr double kGpuFootprint = kCuda == CudaBuild::emulated ? 1 : 256e6;

Ceiling measure_gpu_ceiling();

// Row::fewer of a convolution: the saving of F(2x2, 3x3), the largest of those in kernels/conv/winograd.cpp.
inline constexpr double kWinograd = 2.25;

struct Row {
  std::string op, shape, variant;  // "conv2d", "64x16x16x64 k5 s2", "cpu"
  // For one run. flops: multiplications and additions of the formula, even if an algorithm needs fewer.
  // bytes: the least that must be read and written.
  double flops = 0, bytes = 0;
  double fewer = 1;  // the formula's multiplications over those of the fastest algorithm (Winograd)
  int threads = 0;   // how many threads it uses; 0: all
  int busy = 0;      // how many other processes keep a processor busy at the same time
  Dtype dtype = Dtype::f32;
  Device device = Device::cpu;
  // Makes normal random inputs, as many sets as fill the footprint, and returns the function that is timed.
  // Its run number `turn` uses set turn modulo the number of sets. It returns when the work is done, on a GPU
  // when the work is queued.
  std::function<std::function<void(int64_t turn)>()> prepare;
  // On a GPU: how many runs are captured as one graph. The launches of the graph are timed, so the host's
  // work does not count. 0: no graph; the runs are timed one by one.
  int64_t captured = 0;
  std::string name() const { return op + " " + shape; }
};

// Return the rows of single ops and of training steps, for one device and type of activations. On the
// emulated device the sizes are tiny.
std::vector<Row> op_rows(Device device, Dtype dtype);
std::vector<Row> step_rows(Device device, Dtype dtype);
// Returns the rows of the heavy kernels on CUDA: for each shape of the models, every variant
// (kernels/variants.h) that supports it.
std::vector<Row> kernel_rows(Dtype dtype);
// Returns how many sets of inputs, each of `bytes` bytes, fill the footprint.
int64_t sets_for(Device device, double bytes);
std::string variant_name(const std::string& variant, Dtype dtype);  // "wgmma bf16"

// Times runs as time_runs does, but by the device's clock.
Timing time_gpu(const std::function<void(int64_t)>& run, double seconds);

}  // namespace bench

}  // namespace dae
