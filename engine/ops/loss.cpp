#include "kernels/loss/loss.h"

#include "engine/ops.h"

namespace dae {

namespace {

void same_shape(const char* op, const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape()))
    fail(Fault::internal, "{}: expected equal shapes, found {} and {}", op, a.shape().str(), b.shape().str());
}

Tensor score(const char* name, Score f, const Tensor& x, double target) {
  Tensor y = x.like(Shape{}, wide(x.dtype()));
  dispatch(x, [&]<class T>(auto where) {
    score_forward(where, f, y.data<Wide<T>>(), x.data<T>(), x.size(), target);
  });
  return record(name, y, {x}, [f, target, x = x.detach()](const Tensor& dy, const Needs&) -> Grads {
    Tensor dx = x.like();
    dispatch(x, [&]<class T>(auto where) {
      score_backward(where, f, dx.data<T>(), dy.data<Wide<T>>(), x.data<T>(), x.size(), target);
    });
    return {dx};
  });
}

Tensor distance(const char* name, Distance f, const Tensor& a, const Tensor& b) {
  same_shape(name, a, b);
  Tensor y = a.like(Shape{}, wide(a.dtype()));
  dispatch(a, [&]<class T>(auto where) {
    distance_forward(where, f, y.data<Wide<T>>(), a.data<T>(), b.data<T>(), a.size());
  });
  return record(
      name, y, {a, b}, [f, a = a.detach(), b = b.detach()](const Tensor& dy, const Needs& need) -> Grads {
        Tensor da = a.like();
        dispatch(a, [&]<class T>(auto where) {
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

namespace {

// One pass makes both results. The backward is one pass too: the node of kl is the newer one, so it runs
// first and leaves dkl in `left`; the node of z then turns dz and dkl into the gradients of mu and logvar.
NormalSample draw(const Tensor& mu, const Tensor& logvar, const Tensor& eps, Key key) {
  same_shape("sample_normal", mu, logvar);
  Tensor z = mu.like(), kl = mu.like(Shape{}, wide(mu.dtype()));
  const int64_t n = mu.size(), images = mu.rank() ? mu.dim(0) : 1;
  dispatch(mu, [&]<class T>(auto where) {
    sample_normal_forward(where, z.data<T>(), kl.data<Wide<T>>(), mu.data<T>(), logvar.data<T>(),
                          data_of<T>(eps), key, n, images);
  });
  const auto left = std::make_shared<Tensor>();
  z = record("sample_normal", z, {mu, logvar},
             [left, mu = mu.detach(), logvar = logvar.detach(), eps = eps.detach(), key, n, images](
                 const Tensor& dz, const Needs&) -> Grads {
               const Tensor dkl = std::exchange(*left, {}), dmu = mu.like(), dlogvar = mu.like();
               dispatch(mu, [&]<class T>(auto where) {
                 sample_normal_backward(where, dmu.data<T>(), dlogvar.data<T>(), data_of<T>(dz),
                                        data_of<Wide<T>>(dkl), mu.data<T>(), logvar.data<T>(),
                                        data_of<T>(eps), key, n, images);
               });
               return {dmu, dlogvar};
             });
  kl = record("kl_normal", kl, {z, mu, logvar}, [left](const Tensor& dkl, const Needs& need) -> Grads {
    if (need[1] || need[2]) *left = dkl;
    return {{}, {}, {}};
  });
  return {z, kl};
}

}  // namespace

NormalSample sample_normal(const Tensor& mu, const Tensor& logvar, Key key) {
  return draw(mu, logvar, {}, key);
}
NormalSample sample_normal(const Tensor& mu, const Tensor& logvar, const Tensor& eps) {
  same_shape("sample_normal", mu, eps);
  return draw(mu, logvar, eps, {});
}

}  // namespace dae
