#include <cmath>
#include <cstring>

#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> all_rows() {
  std::vector<Row> all;
  for (auto family :
       {elementwise_rows, activation_rows, reduce_rows, softmax_rows, loss_rows, shape_rows, matmul_rows,
        attention_rows, conv_rows, norm_rows, resample_rows, random_rows, lookup_rows, vq_rows})
    for (Row& row : family()) all.push_back(std::move(row));
  return all;
}

std::vector<Tensor> inputs_of(const Row& row, Dtype dtype, Dtype rounded, Device device) {
  std::vector<Tensor> out;
  uint32_t op = 100;
  for (const Input& in : row.inputs) {
    Tensor t = uniform(in.shape, in.classes ? 0 : in.low, in.classes ? double(in.classes) : in.high,
                       Key{11, 0, op++});
    if (in.classes) {
      std::vector<double> v = t.values();
      for (double& x : v) x = std::min(std::floor(x), double(in.classes - 1));
      t = Tensor::of(in.shape, v, Dtype::i64);
    } else if (in.wide) {
      t = t.to(wide(dtype));
    } else {
      t = t.to(rounded).to(dtype);
    }
    out.push_back(t.to(device).clone());
  }
  return out;
}

Outcome run_row(const Row& row, const Row::Function& f, Dtype dtype, Dtype rounded, Device device) {
  std::vector<Tensor> x = inputs_of(row, dtype, rounded, device), asked;
  for (size_t i = 0; i < x.size(); ++i)
    if (row.gradient && row.inputs[i].grad) track(x[i]), asked.push_back(x[i]);
  Outcome o{f(x), {}};
  if (row.gradient) {
    const Tensor dy = uniform(o.y.shape(), -1, 1, Key{13, 0, 7}).to(rounded).to(o.y.dtype()).to(device);
    o.dx = grad(o.y, asked, {false, dy});
  }
  o.y = o.y.detach();
  return o;
}

double relative_error(const Tensor& a, const Tensor& b) {
  const auto x = a.values(), y = b.values();
  if (!(a.shape() == b.shape())) return INFINITY;
  double d = 0, n = 0;
  for (size_t i = 0; i < x.size(); ++i) d += (x[i] - y[i]) * (x[i] - y[i]), n += y[i] * y[i];
  return std::sqrt(d) / std::max(std::sqrt(n), 1e-30);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(Device::cpu), y = b.to(Device::cpu);
  return x.shape() == y.shape() && x.dtype() == y.dtype() &&
         !std::memcmp(x.raw(), y.raw(), size_t(x.bytes()));
}
bool same_bits(const Outcome& a, const Outcome& b) {
  if (!same_bits(a.y, b.y) || a.dx.size() != b.dx.size()) return false;
  for (size_t i = 0; i < a.dx.size(); ++i)
    if (!same_bits(a.dx[i], b.dx[i])) return false;
  return true;
}

}  // namespace dae
