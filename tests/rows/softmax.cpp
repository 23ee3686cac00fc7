#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> softmax_rows() {
  using V = const std::vector<Tensor>&;
  return {
      {"softmax", "prime width", {{{5, 37}, -5, 5}}, [](V x) { return softmax(x[0]); }, {}},
      {"softmax",
       "one column, which is 1",
       {{{5, 1}}},
       [](V x) { return add(x[0], softmax(x[0])); },
       [](V x) { return shift(x[0], 1); }},
      {"softmax",
       "two columns",
       {{{7, 2}, -3, 3}},
       [](V x) { return softmax(x[0]); },
       [](V x) {
         const Tensor d = sub(slice(x[0], 1, 0, 1), slice(x[0], 1, 1, 2));
         return concat({sigmoid(d), sigmoid(scale(d, -1))}, 1);
       }},
      {"cross_entropy",
       "prime width",
       {{{5, 37}, -5, 5}, {{5}, 0, 0, false, 37}},
       [](V x) { return cross_entropy(x[0], x[1]); },
       [](V x) {  // picks -log p of the label through the identity matrix
         std::vector<double> eye(37 * 37, 0.0);
         for (int i = 0; i < 37; ++i) eye[size_t(i * 38)] = 1;
         const Tensor pick = embedding(Tensor::of({37, 37}, eye, x[0].dtype()), x[1]);
         return scale(sum(mul(log(softmax(x[0])), pick)), -1 / 5.0);
       }},
  };
}

}  // namespace dae
