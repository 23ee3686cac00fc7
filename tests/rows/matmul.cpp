#include "tests/rows.h"

std::vector<Row> matmul_rows() {
  using V = const std::vector<Tensor>&;
  return {
      {"linear",
       "with bias",
       {{{3, 5, 17}}, {{11, 17}}, wide_input({11})},
       [](V x) { return linear(x[0], x[1], x[2]); },
       [](V x) {
         return add_bias(reshape(matmul(reshape(x[0], {15, 17}), x[1], false, true), {3, 5, 11}), x[2]);
       }},
      {"linear", "one row", {{{1, 37}}, {{1, 37}}}, [](V x) { return linear(x[0], x[1]); }, {}},
      {"linear", "several blocks", {{{300, 65}}, {{33, 65}}}, [](V x) { return linear(x[0], x[1]); }, {}},
      {"matmul", "plain", {{{7, 13}}, {{13, 5}}}, [](V x) { return matmul(x[0], x[1]); }, {}},
      {"matmul", "batched", {{{3, 7, 13}}, {{3, 13, 5}}}, [](V x) { return matmul(x[0], x[1]); }, {}},
      {"matmul",
       "a transposed",
       {{{3, 13, 7}}, {{3, 13, 5}}},
       [](V x) { return matmul(x[0], x[1], true, false); },
       [](V x) {
         return matmul(permute(x[0], {0, 2, 1}), x[1]);
       }},
      {"matmul",
       "b transposed",
       {{{3, 7, 13}}, {{3, 5, 13}}},
       [](V x) { return matmul(x[0], x[1], false, true); },
       [](V x) {
         return matmul(x[0], permute(x[1], {0, 2, 1}));
       }},
      {"matmul",
       "both transposed",
       {{{3, 13, 7}}, {{3, 5, 13}}},
       [](V x) { return matmul(x[0], x[1], true, true); },
       [](V x) {
         return matmul(permute(x[0], {0, 2, 1}), permute(x[1], {0, 2, 1}));
       }},
  };
}
