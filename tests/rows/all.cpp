#include "tests/rows.h"

std::vector<Row> all_rows() {
  std::vector<Row> all;
  for (auto family : {elementwise_rows, activation_rows, reduce_rows, softmax_rows, loss_rows, shape_rows,
                      matmul_rows, conv_rows, norm_rows, resample_rows, random_rows, lookup_rows})
    for (Row& row : family()) all.push_back(std::move(row));
  return all;
}
