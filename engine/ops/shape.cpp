#include "kernels/shape/shape.h"

#include "engine/ops.h"

namespace dae {

namespace {

struct Around {
  int64_t outer = 1, inner = 1;
};
Around around(const Shape& s, int axis) {
  Around a;
  for (int i = 0; i < axis; ++i) a.outer *= s[i];
  for (int i = axis + 1; i < s.rank(); ++i) a.inner *= s[i];
  return a;
}
int positive(int axis, const Shape& s) {
  const int a = axis < 0 ? axis + s.rank() : axis;
  if (a < 0 || a >= s.rank()) fail(Fault::internal, "axis {} of shape {}", axis, s.str());
  return a;
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  Shape full = shape;
  int64_t known = 1;
  for (int64_t d : shape) known *= d < 0 ? 1 : d;
  for (int i = 0; i < full.rank(); ++i)
    if (full[i] < 0) full[i] = known ? x.size() / known : 0;
  return record(
      "reshape", x.with_shape(full), {x},
      [before = x.shape()](const Tensor& dy, const Needs&) -> Grads { return {dy.with_shape(before)}; });
}

Tensor permute(const Tensor& x, const std::vector<int>& order) {
  Shape shape = x.shape();
  std::vector<int> axes, inverse(order.size(), -1);
  if (int(order.size()) != x.rank())
    fail(Fault::internal, "permute: {} axes for shape {}", order.size(), shape.str());
  for (size_t i = 0; i < order.size(); ++i) {
    const int axis = positive(order[i], x.shape());
    if (inverse[size_t(axis)] >= 0)
      fail(Fault::internal, "permute: axis {} of shape {} twice", axis, x.shape().str());
    axes.push_back(axis), shape[int(i)] = x.dim(axis), inverse[size_t(axis)] = int(i);
  }
  Tensor y = x.like(shape);
  dispatch(x, [&]<class T>(auto where) {
    permute(where, y.data<T>(), x.data<T>(), x.shape().begin(), axes.data(), x.rank());
  });
  return record("permute", y, {x},
                [inverse](const Tensor& dy, const Needs&) -> Grads { return {permute(dy, inverse)}; });
}

Tensor concat(const std::vector<Tensor>& parts, int axis) {
  if (parts.empty()) fail(Fault::internal, "concat: nothing to join");
  Shape shape = parts[0].shape();
  axis = positive(axis, shape);
  shape[axis] = 0;
  for (const Tensor& p : parts) {
    Shape like = p.shape();
    if (like.rank() == shape.rank()) like[axis] = shape[axis];
    if (!(like == shape))
      fail(Fault::internal, "concat: shapes {} and {} differ off axis {}", parts[0].shape().str(),
           p.shape().str(), axis);
    shape[axis] += p.dim(axis);
  }
  Tensor y = parts[0].like(shape);
  const Around a = around(shape, axis);
  dispatch(y, [&]<class T>(auto where) {
    int64_t at = 0;
    for (const Tensor& p : parts) {
      copy_axis(where, y.data<T>(), shape[axis], at, p.data<T>(), p.dim(axis), 0, p.dim(axis), a.outer,
                a.inner);
      at += p.dim(axis);
    }
  });
  std::vector<int64_t> sizes;
  for (const Tensor& p : parts) sizes.push_back(p.dim(axis));
  return record("concat", y, parts, [sizes, axis](const Tensor& dy, const Needs& need) -> Grads {
    Grads out(sizes.size());
    int64_t at = 0;
    for (size_t i = 0; i < sizes.size(); at += sizes[i++])
      if (need[i]) out[i] = slice(dy, axis, at, at + sizes[i]);
    return out;
  });
}

Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end) {
  axis = positive(axis, x.shape());
  if (begin < 0 || begin > end || end > x.dim(axis))
    fail(Fault::internal, "slice: [{}, {}) of axis {} of {}", begin, end, axis, x.shape().str());
  Shape shape = x.shape();
  shape[axis] = end - begin;
  Tensor y = x.like(shape);
  const Around a = around(shape, axis);
  dispatch(x, [&]<class T>(auto where) {
    copy_axis(where, y.data<T>(), end - begin, 0, x.data<T>(), x.dim(axis), begin, end - begin, a.outer,
              a.inner);
  });
  return record("slice", y, {x},
                [before = x.shape(), axis, begin, a](const Tensor& dy, const Needs&) -> Grads {
                  Tensor dx = Tensor::zeros(before, dy.dtype(), dy.device());
                  dispatch(dy, [&]<class T>(auto where) {
                    copy_axis(where, dx.data<T>(), before[axis], begin, dy.data<T>(), dy.dim(axis), 0,
                              dy.dim(axis), a.outer, a.inner);
                  });
                  return {dx};
                });
}

std::vector<Tensor> split(const Tensor& x, int axis, int parts) {
  axis = positive(axis, x.shape());
  if (parts < 1 || x.dim(axis) % parts)
    fail(Fault::internal, "split: axis {} of {} into {} equal parts", axis, x.shape().str(), parts);
  const int64_t size = x.dim(axis) / parts;
  std::vector<Tensor> out;
  for (int64_t i = 0; i < parts; ++i) out.push_back(slice(x, axis, i * size, (i + 1) * size));
  return out;
}

}  // namespace dae
