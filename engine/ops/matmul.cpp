#include "kernels/matmul/matmul.h"

#include "engine/dry_run.h"
#include "engine/ops.h"
#include "kernels/elementwise/elementwise.h"

namespace dae {

namespace {

double flops(const Tensor& y, int64_t k) { return 2.0 * double(y.size()) * double(k); }

void check(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (x.rank() < 1 || weight.rank() != 2 || x.dim(-1) != weight.dim(1) ||
      (bias && !(bias.shape() == Shape{weight.dim(0)})))
    fail(Fault::internal, "{}: expected (..., I), (O, I) and a bias (O) or none, found {}, {} and {}", op,
         x.shape().str(), weight.shape().str(), bias ? bias.shape().str() : "none");
}

bool tracks(std::initializer_list<Tensor> inputs) {
  return recording() &&
         std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.tracked(); });
}

// Returns y (..., O) of x (..., I) and weight (O, I). epilogue(e) fills in the rest of the formula: bias,
// activation, gate and residual, with the element type of the dispatch.
template <class F>
Tensor forward(const Tensor& x, const Tensor& weight, F epilogue) {
  Shape shape = x.shape();
  shape[-1] = weight.dim(0);
  Tensor y = x.like(shape);
  count_flops(flops(y, x.dim(-1)));
  dispatch(x, [&]<class T>(auto where) {
    Epilogue<T> e;
    epilogue(e);
    linear_forward(where, y.data<T>(), x.data<T>(), weight.data<T>(), x.rows(), weight.dim(0), weight.dim(1),
                   e);
  });
  return y;
}

// Keeps the operands that the gradients of x and weight need, and no others.
struct Operands {
  Operands(const Tensor& x, const Tensor& weight)
      : x(weight.tracked() ? x.detach() : Tensor{}),
        weight(x.tracked() ? weight.detach() : Tensor{}),
        x_shape(x.shape()),
        weight_shape(weight.shape()) {}
  // du (..., O) is the gradient of x weight^T.
  Tensor dx(const Tensor& du) const {
    Tensor dx = du.like(x_shape);
    count_flops(flops(dx, weight_shape[0]));
    dispatch(du, [&]<class T>(auto where) {
      matmul(where, dx.data<T>(), du.data<T>(), weight.data<T>(), du.rows(), weight_shape[1], weight_shape[0],
             false, false);
    });
    return dx;
  }
  Tensor dweight(const Tensor& du) const {
    Tensor dw = du.like(weight_shape, wide(du.dtype()));
    count_flops(flops(dw, du.rows()));
    dispatch(du, [&]<class T>(auto where) {
      matmul(where, dw.data<Wide<T>>(), du.data<T>(), x.data<T>(), weight_shape[0], weight_shape[1],
             du.rows(), true, false);
    });
    return dw;
  }
  Tensor x, weight;
  Shape x_shape, weight_shape;
};

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Act act) {
  check("linear", x, weight, bias);
  Tensor argument;
  if (keeps_argument(act) && tracks({x, weight, bias})) {
    Shape shape = x.shape();
    shape[-1] = weight.dim(0);
    argument = x.like(shape);
  }
  Tensor y = forward(x, weight, [&]<class T>(Epilogue<T>& e) {
    e.bias = data_of<Wide<T>>(bias), e.act = act, e.argument = data_of<T>(argument);
  });
  const Tensor kept = act == Act::none ? Tensor{} : keeps_argument(act) ? argument : y.detach();
  return record(
      "linear", y, {x, weight, bias},
      [act, kept, operands = Operands(x, weight)](const Tensor& dy, const Needs& need) -> Grads {
        Tensor du = dy, db;
        if (act == Act::none) {
          if (need[2]) db = sum_rows(dy);
        } else {
          du = dy.like();
          if (need[2]) db = dy.like({dy.dim(-1)}, wide(dy.dtype()));
          dispatch(dy, [&]<class T>(auto where) {
            linear_act_backward(where, du.data<T>(), data_of<Wide<T>>(db), dy.data<T>(), kept.data<T>(),
                                dy.rows(), dy.dim(-1), act);
          });
        }
        return {need[0] ? operands.dx(du) : Tensor{}, need[1] ? operands.dweight(du) : Tensor{}, db};
      });
}

Tensor linear_add(const Tensor& residual, const Tensor& x, const Tensor& weight, const Tensor& bias,
                  const Tensor& gate) {
  check("linear_add", x, weight, bias);
  Shape shape = x.shape();
  shape[-1] = weight.dim(0);
  if (!(residual.shape() == shape) ||
      (gate && (x.rank() < 2 || !(gate.shape() == Shape{x.dim(0), weight.dim(0)}))))
    fail(Fault::internal, "linear_add: expected a residual {} and a gate (N, O) or none, found {} and {}",
         shape.str(), residual.shape().str(), gate ? gate.shape().str() : "none");
  const Tensor argument = gate && tracks({residual, x, weight, bias, gate}) ? x.like(shape) : Tensor{};
  const int64_t positions = gate ? x.rows() / std::max<int64_t>(1, x.dim(0)) : 1;
  Tensor y = forward(x, weight, [&]<class T>(Epilogue<T>& e) {
    e.bias = data_of<Wide<T>>(bias), e.argument = data_of<T>(argument);
    e.residual = residual.data<T>(), e.gate = data_of<T>(gate), e.positions = positions;
  });
  return record("linear_add", y, {residual, x, weight, bias, gate},
                [argument, gate = gate.detach(), positions, operands = Operands(x, weight)](
                    const Tensor& dy, const Needs& need) -> Grads {
                  Tensor du = dy, dgate;
                  if (gate && (need[1] || need[2] || need[3] || need[4])) {
                    du = dy.like(), dgate = gate.like();
                    dispatch(dy, [&]<class T>(auto where) {
                      gate_add_backward(where, dgate.data<T>(), du.data<T>(), dy.data<T>(), gate.data<T>(),
                                        argument.data<T>(), gate.dim(0), positions, gate.dim(1));
                    });
                  }
                  return {dy, need[1] ? operands.dx(du) : Tensor{}, need[2] ? operands.dweight(du) : Tensor{},
                          need[3] ? sum_rows(du) : Tensor{}, dgate};
                });
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
  count_flops(flops(y, k));
  dispatch(a, [&]<class T>(auto where) {
    batched_matmul(where, y.data<T>(), a.data<T>(), b.data<T>(), batch, m, n, k, transpose_a, transpose_b);
  });
  return record("matmul", y, {a, b},
                [a = b.tracked() ? a.detach() : Tensor{}, b = a.tracked() ? b.detach() : Tensor{},
                 ta = transpose_a, tb = transpose_b](const Tensor& dy, const Needs& need) -> Grads {
                  // For y = A B: dA = dy B^T and dB = A^T dy. The gradient of an operand that is stored
                  // transposed is transposed too.
                  Tensor da, db;
                  if (need[0]) da = ta ? matmul(b, dy, tb, true) : matmul(dy, b, false, !tb);
                  if (need[1]) db = tb ? matmul(dy, a, true, ta) : matmul(a, dy, !ta, false);
                  return {da, db};
                });
}

}  // namespace dae
