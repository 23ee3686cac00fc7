#include "kernels/lookup.h"

#include "engine/ops.h"

Tensor embedding(const Tensor& table, const Tensor& index) {
  if (table.rank() != 2)
    fail(Fault::internal, "embedding: expected a table (V, C), found {}", table.shape().str());
  const int64_t entries = table.dim(0), channels = table.dim(1), rows = index.size();
  for (int64_t r = 0; index.device() == Device::cpu && r < rows; ++r)
    if (const int64_t i = index.data<int64_t>()[r]; i < 0 || i >= entries)
      fail(Fault::internal, "embedding: index {} is not in [0, {})", i, entries);
  Shape shape = index.shape();
  shape.push_back(channels);
  Tensor y = table.like(shape);
  dispatch_cpu(table, [&](auto where, auto zero) {
    using T = decltype(zero);
    embedding_forward(where, y.data<T>(), table.data<T>(), index.data<int64_t>(), rows, channels);
  });
  return record("embedding", y, {table}, [=](const Tensor& dy, const Needs&) -> Grads {
    Tensor dtable = dy.like({entries, channels}, wide(dy.dtype()));
    dispatch_cpu(dy, [&](auto where, auto zero) {
      using T = decltype(zero);
      embedding_backward(where, dtable.data<Wide<T>>(), dy.data<T>(), index.data<int64_t>(), rows, entries,
                         channels);
    });
    return {dtable};
  });
}

Tensor nearest_code(const Tensor& z, const Tensor& codebook) {
  if (z.rank() != 2 || codebook.rank() != 2 || z.dim(1) != codebook.dim(1) || codebook.dim(0) < 1)
    fail(Fault::internal, "nearest_code: expected (R, D) and (K, D), found {} and {}", z.shape().str(),
         codebook.shape().str());
  Tensor index({z.dim(0)}, Dtype::i64, z.device());
  dispatch_cpu(z, [&](auto where, auto zero) {
    using T = decltype(zero);
    nearest_code(where, index.data<int64_t>(), z.data<T>(), codebook.data<Wide<T>>(), z.dim(0),
                 codebook.dim(0), z.dim(1));
  });
  return index;
}

Tensor straight_through(const Tensor& z, const Tensor& quantized) {
  if (!(z.shape() == quantized.shape()))
    fail(Fault::internal, "straight_through: shapes {} and {}", z.shape().str(), quantized.shape().str());
  return record("straight_through", quantized.detach(), {z},
                [](const Tensor& dy, const Needs&) -> Grads { return {dy}; });
}
