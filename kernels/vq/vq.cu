// The CUDA functions of vq.h: each runs the variant that kernels/variants.h chooses, or one given by the
// caller.
#include "kernels/device/gpu.h"
#include "kernels/variants.h"
#include "kernels/vq/vq.h"

namespace dae {

namespace {

// Counts the codes. Sums of integers are exact in any order, so they may be atomic.
__global__ void __launch_bounds__(256) usage(unsigned long long* count, const int64_t* index, int64_t n,
                                             int64_t codes, WrongIndex* wrong, const char* op) {
  const int64_t i = int64_t(blockIdx.x) * 256 + threadIdx.x;
  if (i >= n) return;
  const int64_t code = index[i];
  if (code >= 0 && code < codes) atomicAdd(count + code, 1ull);
  else *wrong = {op, code, codes};
}

}  // namespace

template <class T>
void nearest_code_by(NearestVariant variant, Cuda where, int64_t* index, const T* z, const float* codebook,
                     const NearestShape& s) {
  (variant == NearestVariant::naive ? nearest_code_naive<T> : nearest_code_tensor<T>)(where, index, z,
                                                                                      codebook, s.rows,
                                                                                      s.codes, s.channels);
}
template <class T>
void nearest_code(Cuda where, int64_t* index, const T* z, const Wide<T>* codebook, int64_t rows,
                  int64_t codes, int64_t channels) {
  const NearestShape s{rows, codes, channels};
  nearest_code_by(choose(defaults::kNearest, s, [](auto) { return true; }), where, index, z, codebook, s);
}

void code_usage(Cuda where, int64_t* count, const int64_t* index, int64_t n, int64_t codes) {
  check(cudaMemsetAsync(count, 0, size_t(codes) * sizeof(int64_t), where.stream), "code_usage");
  launch(where, "code_usage", usage, ceil_div(n, 256), 256, 0, reinterpret_cast<unsigned long long*>(count),
         index, n, codes, wrong_index(), "code_usage");
}

#define INSTANTIATE(T)                                                                  \
  template void nearest_code_by(NearestVariant, Cuda, int64_t*, const T*, const float*, \
                                const NearestShape&);                                   \
  template void nearest_code(Cuda, int64_t*, const T*, const Wide<T>*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
