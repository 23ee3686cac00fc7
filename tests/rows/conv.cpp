#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> conv_rows() {
  using V = const std::vector<Tensor>&;
  auto conv = [](int64_t stride, Pad pad) {
    return [=](V x) { return conv2d(x[0], x[1], x[2], stride, pad); };
  };
  auto transposed = [](int64_t stride, int64_t pad) {
    return [=](V x) { return conv_transpose2d(x[0], x[1], x.size() > 2 ? x[2] : Tensor{}, stride, pad); };
  };
  return {
      {"conv2d", "k3 s1 p1", {{{2, 5, 6, 3}}, {{7, 3, 3, 3}}, wide_input({7})}, conv(1, 1), {}},
      {"conv2d", "k5 s2 p2", {{{2, 8, 7, 3}}, {{5, 5, 5, 3}}, wide_input({5})}, conv(2, 2), {}},
      {"conv2d", "k4 s2 p1", {{{2, 6, 8, 5}}, {{3, 4, 4, 5}}, wide_input({3})}, conv(2, 1), {}},
      {"conv2d",
       "k3 s2, right and bottom padded",
       {{{1, 6, 6, 2}}, {{3, 3, 3, 2}}, wide_input({3})},
       conv(2, {0, 0, 1, 1}),
       {}},
      {"conv2d", "k2 s1 p0", {{{3, 2, 2, 9}}, {{4, 2, 2, 9}}, wide_input({4})}, conv(1, 0), {}},
      {"conv2d",
       "1x1 is a linear layer",
       {{{2, 3, 5, 7}}, {{11, 1, 1, 7}}, wide_input({11})},
       conv(1, 0),
       [](V x) {
         return linear(x[0], reshape(x[1], {11, 7}), x[2]);
       }},
      {"conv2d", "1x7", {{{1, 4, 9, 2}}, {{3, 1, 7, 2}}, wide_input({3})}, conv(1, {0, 3, 0, 3}), {}},
      {"conv2d", "k4 s4", {{{2, 8, 8, 3}}, {{5, 4, 4, 3}}, wide_input({5})}, conv(4, 0), {}},
      {"conv_transpose2d", "k4 s2 p1", {{{2, 3, 4, 5}}, {{5, 4, 4, 3}}}, transposed(2, 1), {}},
      {"conv_transpose2d",
       "k2 s1 p0 on 1x1 is a linear layer",
       {{{3, 1, 1, 7}}, {{7, 2, 2, 5}}},
       transposed(1, 0),
       [](V x) {
         return reshape(matmul(reshape(x[0], {3, 7}), reshape(x[1], {7, 20})), {3, 2, 2, 5});
       }},
      {"conv_transpose2d",
       "k5 s2 p2, bias",
       {{{2, 3, 3, 4}}, {{4, 5, 5, 3}}, wide_input({3})},
       transposed(2, 2),
       {}},
      {"conv_transpose2d", "k3 s3: disjoint", {{{1, 2, 3, 4}}, {{4, 3, 3, 2}}}, transposed(3, 0), {}},
  };
}

}  // namespace dae
