// CPU kernels of random.h, which gives the formulas and shapes.
#include "kernels/random/random.h"

#include "kernels/cpu/parallel.h"

namespace dae {

namespace {
// Calls f(begin, end, words) for each block of four elements [begin, end) of [0, n), with its random words.
template <class F>
void for_blocks(int64_t n, Key key, F&& f) {
  parallel_for((n + 3) / 4, kStreamGrain / 4, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) f(b * 4, std::min(n, b * 4 + 4), random4(key, uint64_t(b)));
  });
}
}  // namespace

template <class T>
void normal_fill(Cpu, T* y, int64_t n, Key key) {
  for_blocks(n, key, [&](int64_t begin, int64_t end, const Bits4& bits) {
    float z[4];
    normal4(bits, z);
    for (int64_t i = begin; i < end; ++i) y[i] = T(z[i - begin]);
  });
}

template <class T>
void uniform_fill(Cpu, T* y, int64_t n, double low, double high, Key key) {
  const float a = float(low), width = float(high - low);
  for_blocks(n, key, [&](int64_t begin, int64_t end, const Bits4& bits) {
    for (int64_t i = begin; i < end; ++i) y[i] = T(fmaf(unit_uniform(bits.v[i - begin]), width, a));
  });
}

template <class T>
void dropout(Cpu, T* y, const T* x, int64_t n, double p, Key key) {
  const T gain = T(1 / (1 - p));
  for_blocks(n, key, [&](int64_t begin, int64_t end, const Bits4& bits) {
    for (int64_t i = begin; i < end; ++i) y[i] = unit_uniform(bits.v[i - begin]) < p ? T(0) : x[i] * gain;
  });
}

template <class T>
void channel_dropout(Cpu, T* y, const T* x, int64_t images, int64_t positions, int64_t channels, double p,
                     Key key) {
  const T gain = T(1 / (1 - p));
  parallel_for(images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t c = 0; c < channels; ++c) {
        const bool drop = unit_uniform(random_bits(key, uint64_t(n * channels + c))) < p;
        for (int64_t s = 0; s < positions; ++s) {
          const int64_t i = (n * positions + s) * channels + c;
          y[i] = drop ? T(0) : x[i] * gain;
        }
      }
  });
}

#define INSTANTIATE(T)                                               \
  template void normal_fill(Cpu, T*, int64_t, Key);                  \
  template void uniform_fill(Cpu, T*, int64_t, double, double, Key); \
  template void dropout(Cpu, T*, const T*, int64_t, double, Key);    \
  template void channel_dropout(Cpu, T*, const T*, int64_t, int64_t, int64_t, double, Key);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
