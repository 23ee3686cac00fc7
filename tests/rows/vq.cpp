#include <limits>

#include "tests/rows/rows.h"

namespace dae {

namespace {

// Returns the nearest codes by computing every distance in f64.
Tensor nearest_by_scan(const Tensor& z, const Tensor& codebook) {
  const auto x = z.values(), e = codebook.values();
  const size_t n = size_t(z.dim(1));
  std::vector<double> index;
  for (size_t r = 0; r < x.size(); r += n) {
    double best = std::numeric_limits<double>::infinity(), code = 0;
    for (size_t k = 0; k < e.size(); k += n) {
      double d = 0;
      for (size_t c = 0; c < n; ++c) d += (x[r + c] - e[k + c]) * (x[r + c] - e[k + c]);
      if (d < best) best = d, code = double(k / n);
    }
    index.push_back(code);
  }
  return Tensor::of({z.dim(0)}, index, Dtype::i64);
}

Row nearest(const char* label, Shape z, Shape codebook, Row::Function change = {}) {
  auto inputs = [=](const std::vector<Tensor>& x) { return change ? change(x) : x[1]; };
  return {"nearest_code",
          label,
          {{z}, wide_input(codebook)},
          [=](const std::vector<Tensor>& x) { return nearest_code(x[0], inputs(x)); },
          [=](const std::vector<Tensor>& x) { return nearest_by_scan(x[0], inputs(x)); },
          false};
}

}  // namespace

std::vector<Row> vq_rows() {
  using V = const std::vector<Tensor>&;
  // Every code occurs three times, and the first of the three counts as nearest.
  auto threefold = [](V x) { return concat({x[1], x[1], x[1]}, 0); };
  // Codes far from zero, where 2 z e - |e|^2 in f32 cannot tell them apart.
  auto far = [](V x) { return shift(scale(x[1].to(Dtype::f32), 1e-4), 1).to(x[1].dtype()); };
  return {
      nearest("prime", {13, 7}, {5, 7}),
      nearest("several blocks", {131, 67}, {523, 67}),
      nearest("one code", {3, 5}, {1, 5}),
      nearest("one channel", {67, 1}, {37, 1}),
      nearest("ties: the lowest", {67, 5}, {101, 5}, threefold),
      nearest("nearer to each other than rounding in f32", {67, 37}, {301, 37}, far),
      {"code_usage",
       "prime",
       {{{97}, 0, 0, false, 13}},
       [](V x) { return code_usage(x[0], 17); },
       [](V x) {  // sums the rows of the identity matrix
         std::vector<double> eye(17 * 17, 0.0);
         for (size_t i = 0; i < 17; ++i) eye[i * 18] = 1;
         return sum_rows(embedding(Tensor::of({17, 17}, eye), x[0])).to(Dtype::i64);
       },
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

}  // namespace dae
