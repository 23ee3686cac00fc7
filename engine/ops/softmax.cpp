#include "kernels/softmax/softmax.h"

#include "engine/ops.h"

namespace dae {

Tensor softmax(const Tensor& x) {
  Tensor y = x.like();
  dispatch(
      x, [&]<class T>(auto where) { softmax_forward(where, y.data<T>(), x.data<T>(), x.rows(), x.dim(-1)); });
  return record("softmax", y, {x}, [y = y.detach()](const Tensor& dy, const Needs&) -> Grads {
    Tensor dx = dy.like();
    dispatch(dy, [&]<class T>(auto where) {
      softmax_backward(where, dx.data<T>(), dy.data<T>(), y.data<T>(), y.rows(), y.dim(-1));
    });
    return {dx};
  });
}

Tensor cross_entropy(const Tensor& logits, const Tensor& labels) {
  if (logits.rank() != 2 || !(labels.shape() == Shape{logits.dim(0)}))
    fail(Fault::internal, "cross_entropy: expected (R, C) and (R), found {} and {}", logits.shape().str(),
         labels.shape().str());
  const int64_t rows = logits.dim(0), channels = logits.dim(1);
  for (int64_t r = 0; labels.device() == Device::cpu && r < rows; ++r)
    if (const int64_t label = labels.data<int64_t>()[r]; label < 0 || label >= channels)
      fail(Fault::internal, "cross_entropy: label {} of row {} is not in [0, {})", label, r, channels);
  Tensor loss = logits.like(Shape{}, wide(logits.dtype())), probability = logits.like();
  dispatch(logits, [&]<class T>(auto where) {
    cross_entropy_forward(where, loss.data<Wide<T>>(), probability.data<T>(), logits.data<T>(),
                          labels.data<int64_t>(), rows, channels);
  });
  return record("cross_entropy", loss, {logits},
                [probability, labels, rows, channels](const Tensor& dy, const Needs&) -> Grads {
                  Tensor dx = probability.like();
                  dispatch(dx, [&]<class T>(auto where) {
                    cross_entropy_backward(where, dx.data<T>(), dy.data<Wide<T>>(), probability.data<T>(),
                                           labels.data<int64_t>(), rows, channels);
                  });
                  return {dx};
                });
}

}  // namespace dae
