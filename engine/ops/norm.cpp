#include "kernels/norm/norm.h"

#include "engine/ops.h"

namespace dae {

namespace {

void check(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Shape c{x.rank() ? x.dim(-1) : 0};
  if (x.rank() < 1 || bool(weight) != bool(bias) ||
      (weight && (!(weight.shape() == c) || !(bias.shape() == c))))
    fail(Fault::internal, "{}: expected (..., C) with weight and bias (C), found {}, {}, {}", op,
         x.shape().str(), weight ? weight.shape().str() : "none", bias ? bias.shape().str() : "none");
}

// Group norm of x, whose sizes are s. Layer norm is the case of one group and one position.
Tensor grouped(const char* name, const Tensor& x, const Tensor& weight, const Tensor& bias, NormShape s,
               double eps, Act act) {
  Tensor y = x.like(), mean = x.like({s.images, s.groups}, wide(x.dtype())), rstd = mean.like();
  dispatch(x, [&]<class T>(auto where) {
    using W = Wide<T>;
    group_norm_forward(where, y.data<T>(), mean.data<W>(), rstd.data<W>(), x.data<T>(), data_of<W>(weight),
                       data_of<W>(bias), s, eps, act);
  });
  return record(name, y, {x, weight, bias},
                [s, act, x = x.detach(), mean, rstd, weight = weight.detach(), bias = bias.detach()](
                    const Tensor& dy, const Needs& need) -> Grads {
                  Tensor dx = need[0] ? dy.like() : Tensor{}, dw, db;
                  if (need[1] || need[2]) dw = weight.like(), db = bias.like();
                  dispatch(dy, [&]<class T>(auto where) {
                    using W = Wide<T>;
                    group_norm_backward(where, data_of<T>(dx), data_of<W>(dw), data_of<W>(db), dy.data<T>(),
                                        x.data<T>(), mean.data<W>(), rstd.data<W>(), data_of<W>(weight),
                                        data_of<W>(bias), s, act);
                  });
                  return {dx, dw, db};
                });
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                  Tensor& running_var, bool training, double momentum, double eps, Act act) {
  check("batch_norm", x, weight, bias);
  const int64_t rows = x.rows(), channels = x.dim(-1);
  Tensor y = x.like(), mean = training ? weight.like() : running_mean.detach(),
         var = training ? weight.like() : running_var.detach();
  dispatch(x, [&]<class T>(auto where) {
    using W = Wide<T>;
    if (training) {
      batch_statistics(where, mean.data<W>(), var.data<W>(), x.data<T>(), rows, channels);
      update_running(where, running_mean.data<W>(), running_var.data<W>(), mean.data<W>(), var.data<W>(),
                     rows, channels, momentum);
    }
    batch_norm_forward(where, y.data<T>(), x.data<T>(), mean.data<W>(), var.data<W>(), weight.data<W>(),
                       bias.data<W>(), rows, channels, eps, act);
  });
  return record("batch_norm", y, {x, weight, bias},
                [x = x.detach(), mean, var, weight = weight.detach(), bias = bias.detach(), rows, channels,
                 eps, act, training](const Tensor& dy, const Needs& need) -> Grads {
                  Tensor dx = need[0] ? dy.like() : Tensor{}, dw, db;
                  if (need[1] || need[2]) dw = weight.like(), db = bias.like();
                  dispatch(dy, [&]<class T>(auto where) {
                    using W = Wide<T>;
                    batch_norm_backward(where, data_of<T>(dx), data_of<W>(dw), data_of<W>(db), dy.data<T>(),
                                        x.data<T>(), mean.data<W>(), var.data<W>(), weight.data<W>(),
                                        bias.data<W>(), rows, channels, eps, act, training);
                  });
                  return {dx, dw, db};
                });
}

Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t groups, double eps,
                  Act act) {
  check("group_norm", x, weight, bias);
  if (groups < 1 || x.dim(-1) % groups)
    fail(Fault::internal, "group_norm: {} channels in {} groups", x.dim(-1), groups);
  return grouped("group_norm", x, weight, bias,
                 {x.dim(0), x.size() / std::max<int64_t>(1, x.dim(0) * x.dim(-1)), x.dim(-1), groups}, eps,
                 act);
}

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  check("layer_norm", x, weight, bias);
  return grouped("layer_norm", x, weight, bias, {x.rows(), 1, x.dim(-1), 1}, eps, Act::none);
}

Tensor modulated_norm(const Tensor& x, const Tensor& shift, const Tensor& scale, double eps) {
  if (x.rank() < 2 || !(shift.shape() == Shape{x.dim(0), x.dim(-1)}) || !(scale.shape() == shift.shape()))
    fail(Fault::internal,
         "modulated_norm: expected (N, ..., C) with shift and scale (N, C), found {}, {}, {}",
         x.shape().str(), shift.shape().str(), scale.shape().str());
  const NormShape s{x.dim(0), x.rows() / std::max<int64_t>(1, x.dim(0)), x.dim(-1), 1};
  Tensor y = x.like(), mean = x.like({x.rows()}, wide(x.dtype())), rstd = mean.like();
  dispatch(x, [&]<class T>(auto where) {
    modulated_norm_forward(where, y.data<T>(), mean.data<Wide<T>>(), rstd.data<Wide<T>>(), x.data<T>(),
                           shift.data<T>(), scale.data<T>(), s, eps);
  });
  return record(
      "modulated_norm", y, {x, shift, scale},
      [s, x = x.detach(), mean, rstd, scale = scale.detach()](const Tensor& dy, const Needs& need) -> Grads {
        Tensor dx = need[0] ? dy.like() : Tensor{}, dshift, dscale;
        if (need[1] || need[2]) dshift = scale.like(), dscale = scale.like();
        dispatch(dy, [&]<class T>(auto where) {
          modulated_norm_backward(where, data_of<T>(dx), data_of<T>(dshift), data_of<T>(dscale), dy.data<T>(),
                                  x.data<T>(), mean.data<Wide<T>>(), rstd.data<Wide<T>>(), scale.data<T>(),
                                  s);
        });
        return {dx, dshift, dscale};
      });
}

}  // namespace dae
