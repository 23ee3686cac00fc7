#include "kernels/lookup/lookup.h"

#include "engine/ops.h"
#include "engine/ops/indices.h"

namespace dae {

Tensor embedding(const Tensor& table, const Tensor& index) {
  if (table.rank() != 2)
    fail(Fault::internal, "embedding: expected a table (V, C), found {}", table.shape().str());
  const int64_t entries = table.dim(0), channels = table.dim(1), rows = index.size();
  check_indices("embedding", index, entries);
  Shape shape = index.shape();
  shape.push_back(channels);
  Tensor y = table.like(shape);
  dispatch(table, [&]<class T>(auto where) {
    embedding_forward(where, y.data<T>(), table.data<T>(), index.data<int64_t>(), rows, entries, channels);
  });
  return record("embedding", y, {table}, [=](const Tensor& dy, const Needs&) -> Grads {
    Tensor dtable = dy.like({entries, channels}, wide(dy.dtype()));
    dispatch(dy, [&]<class T>(auto where) {
      embedding_backward(where, dtable.data<Wide<T>>(), dy.data<T>(), index.data<int64_t>(), rows, entries,
                         channels);
    });
    return {dtable};
  });
}

}  // namespace dae
