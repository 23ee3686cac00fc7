// The kernels behind nearest_code on CUDA, by name, for kernels/variants.h, tests and benchmarks. Both give
// the same indices and take every shape.
//   naive    one warp for each row, all distances in f64; the oracle of the other
//   tensor   z e^T on tensor cores, with each factor split into two halves of bf16
#pragma once
#include "kernels/vq/vq.h"

namespace dae {

enum class NearestVariant { naive, tensor };
inline constexpr NearestVariant kNearestVariants[] = {NearestVariant::naive, NearestVariant::tensor};
inline const char* name(NearestVariant v) { return v == NearestVariant::naive ? "naive" : "tensor"; }

struct NearestShape {
  int64_t rows, codes, channels;
};

// Runs nearest_code by the given variant.
template <class T>
void nearest_code_by(NearestVariant variant, Cuda where, int64_t* index, const T* z, const float* codebook,
                     const NearestShape& shape);

template <class T>
void nearest_code_naive(Cuda where, int64_t* index, const T* z, const float* codebook, int64_t rows,
                        int64_t codes, int64_t channels);
template <class T>
void nearest_code_tensor(Cuda where, int64_t* index, const T* z, const float* codebook, int64_t rows,
                         int64_t codes, int64_t channels);

}  // namespace dae
