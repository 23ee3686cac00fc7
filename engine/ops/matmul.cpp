#include "kernels/matmul/matmul.h"

#include "engine/ops.h"

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (x.rank() < 1 || weight.rank() != 2 || x.dim(-1) != weight.dim(1))
    fail(Fault::internal, "linear: expected (..., I) and (O, I), found {} and {}", x.shape().str(),
         weight.shape().str());
  const int64_t rows = x.rows(), in = weight.dim(1), out = weight.dim(0);
  Shape shape = x.shape();
  shape[-1] = out;
  Tensor y = x.like(shape);
  dispatch(x, [&](auto where, auto zero) {
    using T = decltype(zero);
    matmul(where, y.data<T>(), x.data<T>(), weight.data<T>(), rows, out, in, false, true);
  });
  y = record(
      "linear", y, {x, weight},
      [x = weight.tracked() ? x.detach() : Tensor{}, weight = x.tracked() ? weight.detach() : Tensor{}, rows,
       in, out, shape = x.shape(), wshape = weight.shape()](const Tensor& dy, const Needs& need) -> Grads {
        Tensor dx, dw;
        dispatch(dy, [&](auto where, auto zero) {
          using T = decltype(zero);
          if (need[0]) {
            dx = dy.like(shape);
            matmul(where, dx.data<T>(), dy.data<T>(), weight.data<T>(), rows, in, out, false, false);
          }
          if (need[1]) {
            dw = dy.like(wshape, wide(dy.dtype()));
            matmul(where, dw.data<Wide<T>>(), dy.data<T>(), x.data<T>(), out, in, rows, true, false);
          }
        });
        return {dx, dw};
      });
  return bias ? add_bias(y, bias) : y;
}

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  const bool batched = a.rank() == 3;
  if (a.rank() != b.rank() || a.rank() < 2 || a.rank() > 3 || (batched && a.dim(0) != b.dim(0)) ||
      a.dim(transpose_a ? -2 : -1) != b.dim(transpose_b ? -1 : -2))
    fail(Fault::internal, "matmul: shapes {}{} and {}{} do not fit", a.shape().str(), transpose_a ? "^T" : "",
         b.shape().str(), transpose_b ? "^T" : "");
  const int64_t batch = batched ? a.dim(0) : 1, m = a.dim(transpose_a ? -1 : -2),
                k = a.dim(transpose_a ? -2 : -1), n = b.dim(transpose_b ? -2 : -1);
  Tensor y = a.like(batched ? Shape{batch, m, n} : Shape{m, n});
  dispatch(a, [&](auto where, auto zero) {
    using T = decltype(zero);
    batched_matmul(where, y.data<T>(), a.data<T>(), b.data<T>(), batch, m, n, k, transpose_a, transpose_b);
  });
  return record("matmul", y, {a, b},
                [a = b.tracked() ? a.detach() : Tensor{}, b = a.tracked() ? b.detach() : Tensor{},
                 ta = transpose_a, tb = transpose_b](const Tensor& dy, const Needs& need) -> Grads {
                  // y = A B with A = op(a): dA = dy B^T, dB = A^T dy; transposed where the operand is stored
                  // so.
                  Tensor da, db;
                  if (need[0]) da = ta ? matmul(b, dy, tb, true) : matmul(dy, b, false, !tb);
                  if (need[1]) db = tb ? matmul(dy, a, true, ta) : matmul(a, dy, !ta, false);
                  return {da, db};
                });
}
