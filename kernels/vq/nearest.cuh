// Distances in f64 and the nearest of them, for kernels.
#pragma once
#include <cmath>

#include "kernels/device/device.h"

namespace dae {

struct Nearest {
  double distance = INFINITY;
  int code = 0;
};
// Returns the nearer of the two; the one with the lower code on ties.
__device__ inline Nearest nearer(const Nearest& a, const Nearest& b) {
  return b.distance < a.distance || (b.distance == a.distance && b.code < a.code) ? b : a;
}
// Returns the nearest over the lanes of a warp, to every lane.
__device__ inline Nearest nearest_of_warp(Nearest n) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2)
    n = nearer(n, {__shfl_xor_sync(0xffffffffu, n.distance, distance),
                   __shfl_xor_sync(0xffffffffu, n.code, distance)});
  return n;
}

// Returns the squared distance of z (channels) to a row of the codebook, summed in the order of the channels.
template <class T>
__device__ Nearest measure(const T* z, const float* codebook, int code, int64_t channels) {
  const float* e = codebook + code * channels;
  double sum = 0;
  for (int64_t c = 0; c < channels; ++c) {
    const double v = double(float(z[c])) - double(e[c]);
    sum = fma(v, v, sum);
  }
  return {sum, code};
}

}  // namespace dae
