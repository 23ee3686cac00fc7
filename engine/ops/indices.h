// The check of indices that lie on the host. Indices on a GPU are checked by the kernels, which report
// through wrong_index() (kernels/device/gpu.h).
#pragma once
#include "engine/tensor.h"

namespace dae {

// Throws Fault::internal unless each element of `index` (i64) is in [0, limit). Does nothing for a GPU.
inline void check_indices(const char* op, const Tensor& index, int64_t limit) {
  if (index.device() != Device::cpu) return;
  for (int64_t i = 0; i < index.size(); ++i)
    if (const int64_t value = index.data<int64_t>()[i]; value < 0 || value >= limit)
      fail(Fault::internal, "{}: index {} is not in [0, {})", op, value, limit);
}

}  // namespace dae
