#include "kernels/loss.h"

#include "engine/ops.h"

namespace {

void same_shape(const char* op, const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape()))
    fail(Fault::internal, "{}: expected equal shapes, found {} and {}", op, a.shape().str(), b.shape().str());
}

Tensor score(const char* name, Score f, const Tensor& x, double target) {
  Tensor y = x.like(Shape{}, wide(x.dtype()));
  dispatch(x, [&](auto where, auto zero) {
    using T = decltype(zero);
    score_forward(where, f, y.data<Wide<T>>(), x.data<T>(), x.size(), target);
  });
  return record(name, y, {x}, [f, target, x = x.detach()](const Tensor& dy, const Needs&) -> Grads {
    Tensor dx = x.like();
    dispatch(x, [&](auto where, auto zero) {
      using T = decltype(zero);
      score_backward(where, f, dx.data<T>(), dy.data<Wide<T>>(), x.data<T>(), x.size(), target);
    });
    return {dx};
  });
}

Tensor distance(const char* name, Distance f, const Tensor& a, const Tensor& b) {
  same_shape(name, a, b);
  Tensor y = a.like(Shape{}, wide(a.dtype()));
  dispatch(a, [&](auto where, auto zero) {
    using T = decltype(zero);
    distance_forward(where, f, y.data<Wide<T>>(), a.data<T>(), b.data<T>(), a.size());
  });
  return record(
      name, y, {a, b}, [f, a = a.detach(), b = b.detach()](const Tensor& dy, const Needs& need) -> Grads {
        Tensor da = a.like();
        dispatch(a, [&](auto where, auto zero) {
          using T = decltype(zero);
          distance_backward(where, f, da.data<T>(), dy.data<Wide<T>>(), a.data<T>(), b.data<T>(), a.size());
        });
        return {da, need[1] ? scale(da, -1) : Tensor{}};
      });
}

}  // namespace

Tensor mse_loss(const Tensor& a, const Tensor& b) { return distance("mse_loss", Distance::mse, a, b); }
Tensor l1_loss(const Tensor& a, const Tensor& b) { return distance("l1_loss", Distance::l1, a, b); }
Tensor bce_with_logits(const Tensor& logits, double target) {
  return score("bce_with_logits", Score::bce, logits, target);
}
Tensor hinge_loss(const Tensor& logits, double sign) {
  return score("hinge_loss", Score::hinge, logits, sign);
}

Tensor kl_normal(const Tensor& mu, const Tensor& logvar) {
  same_shape("kl_normal", mu, logvar);
  Tensor y = mu.like(Shape{}, wide(mu.dtype()));
  dispatch(mu, [&](auto where, auto zero) {
    using T = decltype(zero);
    kl_forward(where, y.data<Wide<T>>(), mu.data<T>(), logvar.data<T>(), mu.size(), mu.dim(0));
  });
  return record("kl_normal", y, {mu, logvar},
                [mu = mu.detach(), logvar = logvar.detach()](const Tensor& dy, const Needs&) -> Grads {
                  Tensor dmu = mu.like(), dlogvar = mu.like();
                  dispatch(mu, [&](auto where, auto zero) {
                    using T = decltype(zero);
                    kl_backward(where, dmu.data<T>(), dlogvar.data<T>(), dy.data<Wide<T>>(), mu.data<T>(),
                                logvar.data<T>(), mu.size(), mu.dim(0));
                  });
                  return {dmu, dlogvar};
                });
}

Tensor reparameterize(const Tensor& mu, const Tensor& logvar, const Tensor& eps) {
  same_shape("reparameterize", mu, logvar);
  same_shape("reparameterize", mu, eps);
  Tensor z = mu.like();
  dispatch(mu, [&](auto where, auto zero) {
    using T = decltype(zero);
    reparameterize_forward(where, z.data<T>(), mu.data<T>(), logvar.data<T>(), eps.data<T>(), z.size());
  });
  return record("reparameterize", z, {mu, logvar},
                [logvar = logvar.detach(), eps = eps.detach()](const Tensor& dz, const Needs& need) -> Grads {
                  Tensor dlogvar;
                  if (need[1]) {
                    dlogvar = dz.like();
                    dispatch(dz, [&](auto where, auto zero) {
                      using T = decltype(zero);
                      reparameterize_backward(where, dlogvar.data<T>(), dz.data<T>(), logvar.data<T>(),
                                              eps.data<T>(), dz.size());
                    });
                  }
                  return {dz, dlogvar};
                });
}
