// Random fills and dropout; random.h gives the formulas and shapes, philox.h the random numbers. The bits are
// those of the CPU, rounded to the type.
//   random_kernel     A thread handles 16 bytes and therefore uses one or two whole blocks of four random
//                     words. Fills write n elements. Dropout moves 2 n elements and stores no mask.
//   channel dropout   Uses map_columns (map.cuh): a thread draws once per channel for its eight positions.
// The memory traffic of 4 bytes or more per element hides about 25 integer instructions. Not measured on a
// GPU yet.
#include <cmath>

#include "kernels/cuda/map.cuh"
#include "kernels/random/random.h"

namespace dae {

// Returns unit_uniform(bits) < p without f64 arithmetic: the uniform number is an odd multiple of 2^-24.
struct Below {
  uint32_t limit;
  explicit Below(double p) : limit(uint32_t(std::ceil(p * 0x1p24))) {}
  __device__ bool operator()(uint32_t bits) const { return (bits >> 9) * 2 + 1 < limit; }
};

namespace {

__global__ void clock_kernel(uint32_t* clock, uint32_t step) { *clock = step; }

// f(words, values) changes four values with their four random words. x may be null: the values are then zero.
template <class F, class T>
__global__ void __launch_bounds__(256)
    random_kernel(F f, int64_t n, bool aligned, T* y, const T* x, Key key) {
  constexpr int kSize = Pack<T>::size;
  const int64_t i = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kSize;
  if (i >= n) return;
  key = now(key);
  const int size = int(min(int64_t(kSize), n - i));
  const bool whole = aligned && size == kSize;
  Pack<T> pack = x ? load_part(x + i, size, whole) : Pack<T>{};
#pragma unroll
  for (int first = 0; first < kSize; first += 4) {
    float v[4];
#pragma unroll
    for (int e = 0; e < 4; ++e) v[e] = float(pack.v[first + e]);
    f(random4(key, uint64_t(i + first) / 4), v);
#pragma unroll
    for (int e = 0; e < 4; ++e) pack.v[first + e] = T(v[e]);
  }
  store_part(y + i, pack, size, whole);
}

template <class F, class T>
void random_map(Cuda where, const char* name, int64_t n, F f, T* y, const T* x, Key key) {
  launch(where, name, random_kernel<F, T>, ceil_div(n, 256 * Pack<T>::size), 256, 0, f, n,
         on_16_bytes(y) && on_16_bytes(x), y, x, key);
}

struct ChannelMask {
  Below below;
  float gain;
  int channels;
  Key key;
  struct Column {
    bool drop;
    float gain;
    __device__ float operator()(float x) const { return drop ? 0.0f : x * gain; }
  };
  __device__ Column at(int64_t image, int c) const {
    const uint64_t i = uint64_t(image * channels + c);
    const Bits4 four = random4(now(key), i / 4);
    uint32_t bits = four.v[0];  // a loop, because random_bits(key, i) would index an array in local memory
#pragma unroll
    for (int e = 1; e < 4; ++e) bits = i % 4 == uint64_t(e) ? four.v[e] : bits;
    return {below(bits), gain};
  }
};

}  // namespace

void set_clock(Cuda where, uint32_t* clock, uint32_t step) {
  launch(where, "set_clock", clock_kernel, 1, 1, 0, clock, step);
}

template <class T>
void normal_fill(Cuda where, T* y, int64_t n, Key key) {
  random_map(
      where, "normal", n, [] __device__(const Bits4& bits, float(&v)[4]) { normal4(bits, v); }, y,
      static_cast<const T*>(nullptr), key);
}

template <class T>
void uniform_fill(Cuda where, T* y, int64_t n, double low, double high, Key key) {
  const float a = float(low), width = float(high - low);
  random_map(
      where, "uniform", n,
      [=] __device__(const Bits4& bits, float(&v)[4]) {
#pragma unroll
        for (int e = 0; e < 4; ++e) v[e] = fmaf(unit_uniform(bits.v[e]), width, a);
      },
      y, static_cast<const T*>(nullptr), key);
}

template <class T>
void dropout(Cuda where, T* y, const T* x, int64_t n, double p, Key key) {
  const float gain = float(1 / (1 - p));
  const Below below(p);
  random_map(
      where, "dropout", n,
      [=] __device__(const Bits4& bits, float(&v)[4]) {
#pragma unroll
        for (int e = 0; e < 4; ++e) v[e] = below(bits.v[e]) ? 0.0f : v[e] * gain;
      },
      y, x, key);
}

template <class T>
void channel_dropout(Cuda where, T* y, const T* x, int64_t images, int64_t positions, int64_t channels,
                     double p, Key key) {
  map_columns(where, "channel_dropout", images, positions, channels,
              ChannelMask{Below(p), float(1 / (1 - p)), int(channels), key}, y, x);
}

#define INSTANTIATE(T)                                                \
  template void normal_fill(Cuda, T*, int64_t, Key);                  \
  template void uniform_fill(Cuda, T*, int64_t, double, double, Key); \
  template void dropout(Cuda, T*, const T*, int64_t, double, Key);    \
  template void channel_dropout(Cuda, T*, const T*, int64_t, int64_t, int64_t, double, Key);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
