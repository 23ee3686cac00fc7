#include "kernels/resample/resample.h"

#include "engine/ops.h"

namespace dae {

namespace {

void image(const char* op, const Tensor& x) {
  if (x.rank() != 4) fail(Fault::internal, "{}: expected (N, H, W, C), found {}", op, x.shape().str());
}
PoolShape pool_shape(const char* op, const Tensor& x, int64_t kernel, int64_t stride, int64_t pad,
                     bool ceil = false) {
  image(op, x);
  const PoolShape s{x.dim(0), x.dim(1), x.dim(2), x.dim(3), kernel, stride, pad, ceil};
  if (kernel < 1 || stride < 1 || pad < 0 || 2 * pad > kernel || s.oh() < 1 || s.ow() < 1)
    fail(Fault::internal, "{}: kernel {}, stride {}, pad {} on {}", op, kernel, stride, pad, x.shape().str());
  return s;
}

}  // namespace

Tensor upsample_nearest(const Tensor& x, int64_t factor) {
  image("upsample_nearest", x);
  const int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  Tensor y = x.like({n, h * factor, w * factor, c});
  dispatch(
      x, [&]<class T>(auto where) { upsample_forward(where, y.data<T>(), x.data<T>(), n, h, w, c, factor); });
  return record("upsample_nearest", y, {x}, [=](const Tensor& dy, const Needs&) -> Grads {
    Tensor dx = dy.like({n, h, w, c});
    dispatch(dy, [&]<class T>(auto where) {
      upsample_backward(where, dx.data<T>(), dy.data<T>(), n, h, w, c, factor);
    });
    return {dx};
  });
}

Tensor max_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t pad, bool ceil_mode) {
  const PoolShape s = pool_shape("max_pool", x, kernel, stride, pad, ceil_mode);
  Tensor y = x.like({s.n, s.oh(), s.ow(), s.c}), index(y.shape(), Dtype::i64, x.device());
  dispatch(x, [&]<class T>(auto where) {
    max_pool_forward(where, y.data<T>(), index.data<int64_t>(), x.data<T>(), s);
  });
  return record("max_pool", y, {x}, [s, index](const Tensor& dy, const Needs&) -> Grads {
    Tensor dx = dy.like({s.n, s.h, s.w, s.c});
    dispatch(dy, [&]<class T>(auto where) {
      max_pool_backward(where, dx.data<T>(), dy.data<T>(), index.data<int64_t>(), s);
    });
    return {dx};
  });
}

Tensor avg_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t pad, bool count_pad) {
  const PoolShape s = pool_shape("avg_pool", x, kernel, stride, pad);
  Tensor y = x.like({s.n, s.oh(), s.ow(), s.c});
  dispatch(x, [&]<class T>(auto where) { avg_pool_forward(where, y.data<T>(), x.data<T>(), s, count_pad); });
  return record("avg_pool", y, {x}, [s, count_pad](const Tensor& dy, const Needs&) -> Grads {
    Tensor dx = dy.like({s.n, s.h, s.w, s.c});
    dispatch(
        dy, [&]<class T>(auto where) { avg_pool_backward(where, dx.data<T>(), dy.data<T>(), s, count_pad); });
    return {dx};
  });
}

Tensor global_avg_pool(const Tensor& x) {
  image("global_avg_pool", x);
  if (x.dim(1) != x.dim(2)) {  // pooling windows are square, so the mean over a rectangle is taken by a sum
    const Tensor rows = reshape(x, {x.dim(0), x.dim(1) * x.dim(2), x.dim(3)});
    return scale(sum_last(permute(rows, {0, 2, 1})), 1 / double(x.dim(1) * x.dim(2)));
  }
  return reshape(avg_pool(x, x.dim(1), 1, 0, true), {x.dim(0), x.dim(3)});
}

}  // namespace dae
