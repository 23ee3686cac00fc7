// The op table in timing mode: what is measured, and against which ceiling. A row is a name, the work it
// cannot avoid, and a closure; rows of the same op and shape with other variants (another kernel, a library,
// a GPU) stand beside each other in every report.
#pragma once
#include <functional>
#include <string>
#include <vector>

namespace bench {

inline constexpr double kFootprint = 64e6;  // bytes that the input sets of a row take together, about

// What a row may divide by, of one thread and of all. Measured by our own loops before anything else.
struct Ceiling {
  int threads = 1;
  double flops = 0;  // FLOP/s of f32 fused multiply-adds that wait for nothing
  double bytes = 0;  // read and written a second by y = x or y = y / 2 + x, the faster, over kFootprint
};
Ceiling measure_ceiling(int threads);

struct Row {
  std::string op, shape, variant;  // "conv2d", "64x16x16x64 k5 s2", "cpu"
  // Of one run: multiplications and additions of the formula, though an algorithm may do with fewer; what has
  // to be read and written.
  double flops = 0, bytes = 0;
  int threads = 0;  // that it uses; 0: all
  // Makes the inputs, normal random and enough sets of them to fill kFootprint, and returns what is timed:
  // run `turn` uses set turn modulo their number, and returns when the work is done.
  std::function<std::function<void(int64_t turn)>()> prepare;
  std::string name() const { return op + " " + shape; }
};

std::vector<Row> op_rows();
std::vector<Row> step_rows();

struct Timing {
  double median = 0, low = 0, high = 0;  // seconds; low and high: quartiles
  int runs = 0;
};
// At least two runs to warm up, then for `seconds`, at least five times.
Timing time(const std::function<void(int64_t)>& run, double seconds);

}  // namespace bench
