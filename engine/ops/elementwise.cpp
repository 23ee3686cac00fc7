#include "kernels/elementwise/elementwise.h"

#include "engine/ops.h"

namespace dae {

namespace {

void same_shape(const char* op, const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape()))
    fail(Fault::internal, "{}: expected equal shapes, found {} and {}", op, a.shape().str(), b.shape().str());
}

Tensor binary(const char* name, Binary op, const Tensor& a, const Tensor& b) {
  same_shape(name, a, b);
  Tensor y = a.like();
  dispatch(a, [&]<class T>(auto where) {
    binary_forward(where, op, y.data<T>(), a.data<T>(), b.data<T>(), y.size());
  });
  // The gradients of add and sub need no operand. mul and div keep only the operands that their gradients
  // need.
  if (op == Binary::add)
    return record(name, y, {a, b}, [](const Tensor& dy, const Needs&) -> Grads { return {dy, dy}; });
  if (op == Binary::sub)
    return record(name, y, {a, b}, [](const Tensor& dy, const Needs& need) -> Grads {
      return {dy, need[1] ? scale(dy, -1) : Tensor{}};
    });
  const bool keep_a = b.tracked(), keep_b = a.tracked() || op == Binary::div;
  return record(name, y, {a, b},
                [op, a = keep_a ? a.detach() : Tensor{}, b = keep_b ? b.detach() : Tensor{}](
                    const Tensor& dy, const Needs& need) -> Grads {
                  Tensor da = need[0] ? dy.like() : Tensor{}, db = need[1] ? dy.like() : Tensor{};
                  dispatch(dy, [&]<class T>(auto where) {
                    binary_backward(where, op, data_of<T>(da), data_of<T>(db), dy.data<T>(), data_of<T>(a),
                                    data_of<T>(b), dy.size());
                  });
                  return {da, db};
                });
}

Tensor unary(const char* name, Unary op, const Tensor& x) {
  Tensor y = x.like();
  dispatch(x, [&]<class T>(auto where) { unary_forward(where, op, y.data<T>(), x.data<T>(), x.size()); });
  const bool output = op == Unary::sqrt || op == Unary::exp;
  return record(name, y, {x},
                [op, kept = (output ? y : x).detach()](const Tensor& dy, const Needs&) -> Grads {
                  Tensor dx = dy.like();
                  dispatch(dy, [&]<class T>(auto where) {
                    unary_backward(where, op, dx.data<T>(), dy.data<T>(), kept.data<T>(), dy.size());
                  });
                  return {dx};
                });
}

Tensor affine(const char* name, const Tensor& x, double factor, double offset) {
  Tensor y = x.like();
  dispatch(x,
           [&]<class T>(auto where) { affine(where, y.data<T>(), x.data<T>(), factor, offset, x.size()); });
  return record(name, y, {x}, [factor](const Tensor& dy, const Needs&) -> Grads {
    return {factor == 1 ? dy : scale(dy, factor)};
  });
}

// Checks the shapes of x (N, ..., C) and of an operand c (N, C) with one value for each image and channel.
void per_channel_shape(const char* op, const Tensor& x, const Tensor& c) {
  if (x.rank() < 2 || !(c.shape() == Shape{x.dim(0), x.dim(-1)}))
    fail(Fault::internal, "{}: expected (N, ..., C) and (N, C), found {} and {}", op, x.shape().str(),
         c.shape().str());
}
int64_t positions(const Tensor& x) { return x.size() / std::max<int64_t>(1, x.dim(0) * x.dim(-1)); }

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) { return binary("add", Binary::add, a, b); }
Tensor sub(const Tensor& a, const Tensor& b) { return binary("sub", Binary::sub, a, b); }
Tensor mul(const Tensor& a, const Tensor& b) { return binary("mul", Binary::mul, a, b); }
Tensor div(const Tensor& a, const Tensor& b) { return binary("div", Binary::div, a, b); }
Tensor scale(const Tensor& x, double factor) { return affine("scale", x, factor, 0); }
Tensor shift(const Tensor& x, double offset) { return affine("shift", x, 1, offset); }
Tensor square(const Tensor& x) { return unary("square", Unary::square, x); }
Tensor sqrt(const Tensor& x) { return unary("sqrt", Unary::sqrt, x); }
Tensor exp(const Tensor& x) { return unary("exp", Unary::exp, x); }
Tensor log(const Tensor& x) { return unary("log", Unary::log, x); }
Tensor abs(const Tensor& x) { return unary("abs", Unary::abs, x); }

Tensor scale_by(const Tensor& x, const Tensor& s) {
  if (s.size() != 1)
    fail(Fault::internal, "scale_by: expected a factor of one element, found {}", s.shape().str());
  Tensor y = x.like();
  dispatch(x, [&]<class T>(auto where) {
    scale_by(where, y.data<T>(), x.data<T>(), s.data<Wide<T>>(), x.size());
  });
  return record("scale_by", y, {x, s},
                [x = s.tracked() ? x.detach() : Tensor{}, s = s.detach()](const Tensor& dy,
                                                                          const Needs& need) -> Grads {
                  return {need[0] ? scale_by(dy, s) : Tensor{},
                          need[1] ? sum(mul(dy, x)).with_shape(s.shape()) : Tensor{}};
                });
}

Tensor clamp(const Tensor& x, double low, double high) {
  Tensor y = x.like();
  dispatch(x,
           [&]<class T>(auto where) { clamp_forward(where, y.data<T>(), x.data<T>(), low, high, x.size()); });
  return record("clamp", y, {x}, [low, high, x = x.detach()](const Tensor& dy, const Needs&) -> Grads {
    Tensor dx = dy.like();
    dispatch(dy, [&]<class T>(auto where) {
      clamp_backward(where, dx.data<T>(), dy.data<T>(), x.data<T>(), low, high, dy.size());
    });
    return {dx};
  });
}

Tensor add_bias(const Tensor& x, const Tensor& bias) {
  if (x.rank() < 1 || !(bias.shape() == Shape{x.dim(-1)}))
    fail(Fault::internal, "add_bias: expected (..., C) and (C), found {} and {}", x.shape().str(),
         bias.shape().str());
  Tensor y = x.like();
  dispatch(x, [&]<class T>(auto where) {
    add_bias(where, y.data<T>(), x.data<T>(), bias.data<Wide<T>>(), x.rows(), x.dim(-1));
  });
  return record("add_bias", y, {x, bias}, [](const Tensor& dy, const Needs& need) -> Grads {
    return {dy, need[1] ? sum_rows(dy) : Tensor{}};
  });
}

Tensor gate_add(const Tensor& residual, const Tensor& gate, const Tensor& x) {
  same_shape("gate_add", residual, x);
  per_channel_shape("gate_add", x, gate);
  Tensor y = x.like();
  dispatch(x, [&]<class T>(auto where) {
    gate_add_forward(where, y.data<T>(), residual.data<T>(), gate.data<T>(), x.data<T>(), x.dim(0),
                     positions(x), x.dim(-1));
  });
  return record("gate_add", y, {residual, gate, x},
                [gate = gate.detach(), x = x.detach()](const Tensor& dy, const Needs&) -> Grads {
                  Tensor dgate = gate.like(), dx = dy.like();
                  dispatch(dy, [&]<class T>(auto where) {
                    gate_add_backward(where, dgate.data<T>(), dx.data<T>(), dy.data<T>(), gate.data<T>(),
                                      x.data<T>(), x.dim(0), positions(x), x.dim(-1));
                  });
                  return {dy, dgate, dx};
                });
}

}  // namespace dae
