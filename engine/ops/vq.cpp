#include "kernels/vq/vq.h"

#include "engine/dry_run.h"
#include "engine/ops.h"
#include "engine/ops/indices.h"

namespace dae {

Tensor nearest_code(const Tensor& z, const Tensor& codebook) {
  if (z.rank() != 2 || codebook.rank() != 2 || z.dim(1) != codebook.dim(1) || codebook.dim(0) < 1)
    fail(Fault::internal, "nearest_code: expected (R, D) and (K, D), found {} and {}", z.shape().str(),
         codebook.shape().str());
  Tensor index({z.dim(0)}, Dtype::i64, z.device());
  count_flops(2.0 * double(z.size()) * double(codebook.dim(0)));
  dispatch(z, [&]<class T>(auto where) {
    nearest_code(where, index.data<int64_t>(), z.data<T>(), codebook.data<Wide<T>>(), z.dim(0),
                 codebook.dim(0), z.dim(1));
  });
  return index;
}

Tensor code_usage(const Tensor& index, int64_t codes) {
  check_indices("code_usage", index, codes);
  Tensor count({codes}, Dtype::i64, index.device());
  const auto run = [&](auto where) {
    code_usage(where, count.data<int64_t>(), index.data<int64_t>(), index.size(), codes);
  };
  if (dry_run) return count;
  const Reach reach(index.device());
  if constexpr (kHasCuda)
    if (index.device() == Device::cuda) return run(Cuda{gpu_stream()}), count;
  run(Cpu{});
  return count;
}

Tensor straight_through(const Tensor& z, const Tensor& quantized) {
  if (!(z.shape() == quantized.shape()))
    fail(Fault::internal, "straight_through: shapes {} and {}", z.shape().str(), quantized.shape().str());
  return record("straight_through", quantized.detach(), {z},
                [](const Tensor& dy, const Needs&) -> Grads { return {dy}; });
}

}  // namespace dae
