// The op table. A row names an op, its inputs and a function; test_ops.cpp runs each row as a gradient check
// (f64, central differences), a repeat and a thread-count check (bits equal), f32 against f64, and against a
// composition of plain ops where one is given. An op of engine/ops.h without a row fails the test.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "engine/ops.h"

struct Input {
  Shape shape;
  double low = -1, high = 1;  // uniform; away from kinks
  bool grad = true;
  int64_t classes = 0;  // > 0: i64 in [0, classes)
};

struct Row {
  std::string op;     // its name in ops.h
  std::string label;  // what is special about this row
  std::vector<Input> inputs;
  using Function = std::function<Tensor(const std::vector<Tensor>&)>;
  Function run;
  Function plain;        // the same by plain ops, if there is another way
  bool gradient = true;  // false: an op that has none (indices, random fill)
};

std::vector<Row> elementwise_rows();
std::vector<Row> activation_rows();
std::vector<Row> reduce_rows();
std::vector<Row> softmax_rows();
std::vector<Row> loss_rows();
std::vector<Row> shape_rows();
std::vector<Row> matmul_rows();
std::vector<Row> conv_rows();
std::vector<Row> norm_rows();
std::vector<Row> resample_rows();
std::vector<Row> random_rows();
std::vector<Row> lookup_rows();
std::vector<Row> all_rows();
