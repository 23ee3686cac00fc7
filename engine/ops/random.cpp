#include "kernels/random/random.h"

#include "engine/ops.h"

namespace dae {

namespace {
void check(const char* op, double p) {
  if (!(p >= 0 && p < 1))
    fail(Fault::internal, "{}: probability: expected 0 <= p < 1, found {}; check the recipe's drop", op, p);
}

Tensor drop_channels(const Tensor& x, double p, Key key) {
  Tensor y = x.like();
  const int64_t images = x.dim(0), channels = x.dim(-1);
  if (x.size() == 0) return y;
  dispatch(x, [&]<class T>(auto where) {
    channel_dropout(where, y.data<T>(), x.data<T>(), images, x.size() / (images * channels), channels, p,
                    key);
  });
  return y;
}

Tensor drop_elements(const Tensor& x, double p, Key key) {
  Tensor y = x.like();
  dispatch(x, [&]<class T>(auto where) { dropout(where, y.data<T>(), x.data<T>(), x.size(), p, key); });
  return y;
}
}  // namespace

Tensor normal(const Shape& shape, Key key, Dtype dtype, Device device) {
  Tensor y(shape, dtype, device);
  dispatch(y, [&]<class T>(auto where) { normal_fill(where, y.data<T>(), y.size(), key); });
  return y;
}

Tensor uniform(const Shape& shape, double low, double high, Key key, Dtype dtype, Device device) {
  Tensor y(shape, dtype, device);
  dispatch(y, [&]<class T>(auto where) { uniform_fill(where, y.data<T>(), y.size(), low, high, key); });
  return y;
}

Tensor dropout(const Tensor& x, double p, Key key) {
  check("dropout", p);
  if (p == 0) return x;
  return record("dropout", drop_elements(x, p, key), {x},
                [p, key](const Tensor& dy, const Needs&) -> Grads { return {drop_elements(dy, p, key)}; });
}

Tensor channel_dropout(const Tensor& x, double p, Key key) {
  check("channel_dropout", p);
  if (x.rank() < 2)
    fail(Fault::internal, "channel_dropout: x: expected (N, ..., C), found rank {}; reshape it", x.rank());
  if (p == 0) return x;
  return record("channel_dropout", drop_channels(x, p, key), {x},
                [p, key](const Tensor& dy, const Needs&) -> Grads { return {drop_channels(dy, p, key)}; });
}

}  // namespace dae
