// The nearest code (vq.h) as its definition reads; the oracle of the other variant. A warp takes one row. A
// row reads channels (codes + 1) elements and costs 2 codes channels FLOP in f64. Not measured on a GPU.
#include "kernels/device/device.h"
#include "kernels/vq/nearest.cuh"
#include "kernels/vq/variants.h"

namespace dae {

namespace {

constexpr int kThreads = 128;

template <class T>
__global__ void __launch_bounds__(kThreads)
    naive(int64_t* index, const T* z, const float* codebook, int64_t rows, int codes, int64_t channels) {
  const int64_t row = int64_t(blockIdx.x) * (kThreads / 32) + warp_of_block();
  if (row >= rows) return;
  Nearest best;
  for (int k = lane_of_warp(); k < codes; k += 32)
    best = nearer(best, measure(z + row * channels, codebook, k, channels));
  best = nearest_of_warp(best);
  if (lane_of_warp() == 0) index[row] = best.code;
}

}  // namespace

template <class T>
void nearest_code_naive(Cuda where, int64_t* index, const T* z, const float* codebook, int64_t rows,
                        int64_t codes, int64_t channels) {
  launch(where, "nearest_code_naive", naive<T>, ceil_div(rows, kThreads / 32), kThreads, 0, index, z,
         codebook, rows, codes, channels);
}

#define INSTANTIATE(T) \
  template void nearest_code_naive(Cuda, int64_t*, const T*, const float*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
