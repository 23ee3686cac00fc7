#include "tests/rows/rows.h"

namespace dae {

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
      {"linear",
       "relu",
       {{{3, 5, 17}}, {{11, 17}}, wide_input({11})},
       [](V x) { return linear(x[0], x[1], x[2], Act::relu); },
       [](V x) { return relu(linear(x[0], x[1], x[2])); }},
      {"linear",
       "leaky_relu, no bias",
       {{{31, 7}}, {{16, 7}}},
       [](V x) { return linear(x[0], x[1], {}, Act::leaky_relu); },
       [](V x) { return leaky_relu(linear(x[0], x[1]), 0.2); }},
      {"linear",
       "silu, whole packs",
       {{{3, 5, 24}}, {{16, 24}}, wide_input({16})},
       [](V x) { return linear(x[0], x[1], x[2], Act::silu); },
       [](V x) { return silu(linear(x[0], x[1], x[2])); }},
      {"linear",
       "gelu, several blocks",
       {{{131, 9}}, {{133, 9}}, wide_input({133})},
       [](V x) { return linear(x[0], x[1], x[2], Act::gelu); },
       [](V x) { return gelu(linear(x[0], x[1], x[2])); }},
      {"linear",
       "gelu_tanh, a long sum",
       {{{2, 3, 1040}, -0.1, 0.1}, {{8, 1040}}, wide_input({8})},
       [](V x) { return linear(x[0], x[1], x[2], Act::gelu_tanh); },
       [](V x) { return gelu_tanh(linear(x[0], x[1], x[2])); }},
      {"linear_add",
       "residual",
       {{{3, 5, 11}}, {{3, 5, 17}}, {{11, 17}}, wide_input({11})},
       [](V x) { return linear_add(x[0], x[1], x[2], x[3]); },
       [](V x) { return add(x[0], linear(x[1], x[2], x[3])); }},
      {"linear_add",
       "gate",
       {{{3, 5, 11}}, {{3, 5, 17}}, {{11, 17}}, wide_input({11}), {{3, 11}}},
       [](V x) { return linear_add(x[0], x[1], x[2], x[3], x[4]); },
       [](V x) { return gate_add(x[0], x[4], linear(x[1], x[2], x[3])); }},
      {"linear_add",
       "gate, whole packs, no bias, a long sum",
       {{{2, 3, 16}}, {{2, 3, 1048}, -0.1, 0.1}, {{16, 1048}}, {{2, 16}}},
       [](V x) { return linear_add(x[0], x[1], x[2], {}, x[3]); },
       [](V x) { return gate_add(x[0], x[3], linear(x[1], x[2])); }},
      {"linear_add",
       "gate, one row an image",
       {{{7, 13}}, {{7, 5}}, {{13, 5}}, wide_input({13}), {{7, 13}}},
       [](V x) { return linear_add(x[0], x[1], x[2], x[3], x[4]); },
       [](V x) { return gate_add(x[0], x[4], linear(x[1], x[2], x[3])); }},
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

}  // namespace dae
