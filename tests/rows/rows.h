// The op table. A row names an op, its inputs and a function. An op of engine/ops.h without a row fails the
// test. test_ops.cpp runs each row as:
//   a gradient check (f64, central differences)
//   a repeat, and a run with other numbers of threads: the bits must be equal
//   f32 against f64
//   the op against a composition of plain ops, where one is given
// test_twin.cpp runs each row on CUDA against the CPU.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/ops.h"

namespace dae {

struct Input {
  Shape shape;
  double low = -1, high = 1;  // uniform; the range must avoid kinks
  bool grad = true;
  int64_t classes = 0;  // > 0: i64 values in [0, classes)
  bool wide = false;    // in the wide type: a bias, gain, factor or codebook
};
inline Input wide_input(const Shape& shape, double low = -1, double high = 1) {
  return {.shape = shape, .low = low, .high = high, .wide = true};
}

struct Row {
  std::string op;     // its name in ops.h
  std::string label;  // tells the rows of one op apart
  std::vector<Input> inputs;
  using Function = std::function<Tensor(const std::vector<Tensor>&)>;
  Function run;
  Function plain;        // the same result by plain ops; empty: there is no such composition
  bool gradient = true;  // false: an op that has none (indices, random fill)
};

// Returns a row's inputs in `dtype` on `device`, the wide ones in its wide type. The numbers are drawn in f32
// and rounded to `rounded`, the type under test, so they are the same for every device.
std::vector<Tensor> inputs_of(const Row& row, Dtype dtype, Dtype rounded, Device device = Device::cpu);

struct Outcome {
  Tensor y;
  Grads dx;  // the gradients of the inputs with `grad`
};
// Runs f, which is row.run or row.plain, and its backward from a random dy.
Outcome run_row(const Row& row, const Row::Function& f, Dtype dtype, Dtype rounded,
                Device device = Device::cpu);

double relative_error(const Tensor& a, const Tensor& b);  // ||a - b|| / ||b||
bool same_bits(const Tensor& a, const Tensor& b);
bool same_bits(const Outcome& a, const Outcome& b);

std::vector<Row> elementwise_rows();
std::vector<Row> activation_rows();
std::vector<Row> reduce_rows();
std::vector<Row> softmax_rows();
std::vector<Row> loss_rows();
std::vector<Row> shape_rows();
std::vector<Row> matmul_rows();
std::vector<Row> attention_rows();
std::vector<Row> conv_rows();
std::vector<Row> norm_rows();
std::vector<Row> resample_rows();
std::vector<Row> random_rows();
std::vector<Row> lookup_rows();
std::vector<Row> vq_rows();
std::vector<Row> all_rows();

}  // namespace dae
