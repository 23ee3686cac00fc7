#include "tests/rows.h"

std::vector<Row> lookup_rows() {
  using V = const std::vector<Tensor>&;
  return {
      {"embedding",
       "repeated",
       {{{5, 37}}, {{3, 7}, 0, 0, false, 5}},
       [](V x) { return embedding(x[0], x[1]); },
       {}},
      {"nearest_code",
       "prime",
       {{{13, 7}}, wide_input({5, 7})},
       [](V x) { return nearest_code(x[0], x[1]); },
       {},
       false},
      {"straight_through",
       "",
       {{{5, 7}}, {{5, 7}, -1, 1, false}},
       [](V x) {
         return straight_through(x[0],
                                 add(x[0].detach(), Tensor::zeros({5, 7}, x[0].dtype(), x[0].device())));
       },
       [](V x) { return x[0]; }},
  };
}
