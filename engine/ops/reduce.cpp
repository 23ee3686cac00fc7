#include "kernels/reduce/reduce.h"

#include "engine/ops.h"

namespace dae {

namespace {

Tensor total(const char* name, const Tensor& x, double factor) {
  Tensor y = x.like(Shape{}, wide(x.dtype()));
  dispatch(
      x, [&]<class T>(auto where) { sum_forward(where, y.data<Wide<T>>(), x.data<T>(), x.size(), factor); });
  return record(name, y, {x},
                [shape = x.shape(), dtype = x.dtype(), factor](const Tensor& dy, const Needs&) -> Grads {
                  Tensor dx = dy.like(shape, dtype);
                  dispatch(dx, [&]<class T>(auto where) {
                    fill_scalar(where, dx.data<T>(), dy.data<Wide<T>>(), dx.size(), factor);
                  });
                  return {dx};
                });
}

}  // namespace

Tensor sum(const Tensor& x) { return total("sum", x, 1); }
Tensor mean(const Tensor& x) { return total("mean", x, 1 / double(x.size())); }

Tensor l2_norm(const Tensor& x) {
  Tensor squares = x.like(Shape{}, wide(x.dtype()));
  dispatch(x,
           [&]<class T>(auto where) { sum_squares(where, squares.data<Wide<T>>(), x.data<T>(), x.size()); });
  Tensor y = sqrt(squares);
  return record("l2_norm", y, {x}, [x = x.detach(), y = y.detach()](const Tensor& dy, const Needs&) -> Grads {
    // dx = dy x / |x|. The lower limit of |x| makes the gradient 0 at 0, instead of 0/0.
    return {scale_by(x, div(dy, clamp(y, 1e-30, 1e300)))};
  });
}

Tensor sum_last(const Tensor& x) {
  Shape shape;
  for (int i = 0; i + 1 < x.rank(); ++i) shape.push_back(x.dim(i));
  Tensor y = x.like(shape);
  dispatch(x, [&]<class T>(auto where) { sum_last(where, y.data<T>(), x.data<T>(), x.rows(), x.dim(-1)); });
  return record("sum_last", y, {x}, [shape = x.shape()](const Tensor& dy, const Needs&) -> Grads {
    Tensor dx = dy.like(shape);
    dispatch(dy, [&]<class T>(auto where) {
      spread_last(where, dx.data<T>(), dy.data<T>(), dx.rows(), dx.dim(-1));
    });
    return {dx};
  });
}

Tensor sum_rows(const Tensor& x) {
  Tensor y = x.like({x.dim(-1)}, wide(x.dtype()));
  dispatch(
      x, [&]<class T>(auto where) { sum_rows(where, y.data<Wide<T>>(), x.data<T>(), x.rows(), x.dim(-1)); });
  return record("sum_rows", y, {x},
                [shape = x.shape(), dtype = x.dtype()](const Tensor& dy, const Needs&) -> Grads {
                  Tensor dx = dy.like(shape, dtype);
                  dispatch(dx, [&]<class T>(auto where) {
                    spread_rows(where, dx.data<T>(), dy.data<Wide<T>>(), dx.rows(), dx.dim(-1));
                  });
                  return {dx};
                });
}

}  // namespace dae
