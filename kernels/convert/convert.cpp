// CPU kernels of convert.h, which gives the formulas and shapes.
#include "kernels/convert/convert.h"

#include "kernels/cpu/parallel.h"

namespace dae {

template <class T>
void fill(Cpu, T* y, double value, int64_t n) {
  const T v = T(value);
  parallel_for(n, kStreamGrain, [=](int64_t begin, int64_t end) { std::fill(y + begin, y + end, v); });
}

template <class To, class From>
void convert(Cpu, To* y, const From* x, int64_t n) {
  parallel_for(n, kStreamGrain, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if constexpr (sizeof(From) == 2) y[i] = To(float(x[i]));
      else y[i] = To(x[i]);
    }
  });
}

#define CONVERT(To, From) template void convert(Cpu, To*, const From*, int64_t);
#define INSTANTIATE(T)                          \
  template void fill(Cpu, T*, double, int64_t); \
  CONVERT(T, float) CONVERT(T, double) CONVERT(T, bf16) CONVERT(T, f16) CONVERT(T, int64_t)
INSTANTIATE(float)
INSTANTIATE(double)
INSTANTIATE(bf16)
INSTANTIATE(f16)
INSTANTIATE(int64_t)

}  // namespace dae
