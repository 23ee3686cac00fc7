#include "kernels/conv/conv.h"

#include "engine/dry_run.h"
#include "engine/ops.h"

namespace dae {

namespace {

// Returns the multiplications and additions of the formula. Taps that lie on the padding count. Each of the
// two gradients takes as many.
double flops(const ConvShape& s) {
  return 2.0 * double(s.n * s.oh() * s.ow() * s.co) * double(s.kh * s.kw * s.ci);
}

Tensor run_forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const ConvShape& s) {
  Tensor y = x.like({s.n, s.oh(), s.ow(), s.co});
  count_flops(flops(s));
  dispatch(x, [&]<class T>(auto where) {
    conv_forward(where, y.data<T>(), x.data<T>(), weight.data<T>(), data_of<Wide<T>>(bias), s);
  });
  return y;
}
Tensor run_backward_input(const Tensor& dy, const Tensor& weight, const ConvShape& s) {
  Tensor dx = dy.like({s.n, s.h, s.w, s.ci});
  count_flops(flops(s));
  dispatch(dy, [&]<class T>(auto where) {
    conv_backward_input(where, dx.data<T>(), dy.data<T>(), weight.data<T>(), s);
  });
  return dx;
}
Tensor run_backward_weight(const Tensor& dy, const Tensor& x, const ConvShape& s) {
  Tensor dw = dy.like({s.co, s.kh, s.kw, s.ci}, wide(dy.dtype()));
  count_flops(flops(s));
  dispatch(dy, [&]<class T>(auto where) {
    conv_backward_weight(where, dw.data<Wide<T>>(), dy.data<T>(), x.data<T>(), s);
  });
  return dw;
}

void check(const char* op, const Tensor& x, const Tensor& weight, int axis, const Tensor& bias, int64_t out) {
  if (x.rank() != 4 || weight.rank() != 4 || x.dim(3) != weight.dim(axis) ||
      (bias && !(bias.shape() == Shape{out})))
    fail(Fault::internal, "{}: shapes x {}, weight {}, bias {} do not fit", op, x.shape().str(),
         weight.shape().str(), bias ? bias.shape().str() : "none");
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride, Pad pad) {
  check("conv2d", x, weight, 3, bias, weight.dim(0));
  const ConvShape s{x.dim(0),      x.dim(1), x.dim(2), x.dim(3), weight.dim(0), weight.dim(1),
                    weight.dim(2), stride,   pad.top,  pad.left, pad.bottom,    pad.right};
  if (s.h + s.pad_top + s.pad_bottom < s.kh || s.w + s.pad_left + s.pad_right < s.kw)
    fail(Fault::internal, "conv2d: a {}x{} kernel does not fit into {} with its padding", s.kh, s.kw,
         x.shape().str());
  return record(
      "conv2d", run_forward(x, weight, bias, s), {x, weight, bias},
      [s, x = weight.tracked() ? x.detach() : Tensor{}, weight = x.tracked() ? weight.detach() : Tensor{}](
          const Tensor& dy, const Needs& need) -> Grads {
        return {need[0] ? run_backward_input(dy, weight, s) : Tensor{},
                need[1] ? run_backward_weight(dy, x, s) : Tensor{}, need[2] ? sum_rows(dy) : Tensor{}};
      });
}

// A transposed convolution is the adjoint of a convolution whose output has the shape of x and whose input
// has the shape of y.
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride,
                        int64_t pad) {
  check("conv_transpose2d", x, weight, 0, bias, weight.dim(3));
  const ConvShape s{x.dim(0),
                    (x.dim(1) - 1) * stride - 2 * pad + weight.dim(1),
                    (x.dim(2) - 1) * stride - 2 * pad + weight.dim(2),
                    weight.dim(3),
                    weight.dim(0),
                    weight.dim(1),
                    weight.dim(2),
                    stride,
                    pad,
                    pad,
                    pad,
                    pad};
  if (s.h < 1 || s.w < 1)
    fail(Fault::internal, "conv_transpose2d: padding {} leaves nothing of {}", pad, x.shape().str());
  Tensor y = record(
      "conv_transpose2d", run_backward_input(x, weight, s), {x, weight},
      [s, x = weight.tracked() ? x.detach() : Tensor{}, weight = x.tracked() ? weight.detach() : Tensor{}](
          const Tensor& dy, const Needs& need) -> Grads {
        return {need[0] ? run_forward(dy, weight, {}, s) : Tensor{},
                need[1] ? run_backward_weight(x, dy, s) : Tensor{}};
      });
  return bias ? add_bias(y, bias) : y;
}

}  // namespace dae
