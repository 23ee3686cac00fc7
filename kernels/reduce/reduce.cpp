#include "kernels/reduce/reduce.h"

#include "kernels/cpu/ordered_sums.h"

namespace dae {

template <class T>
void sum_forward(Cpu, T* y, const T* x, int64_t n, double factor) {
  y[0] = T(factor * ordered_sum(n, [=](int64_t begin, int64_t end) {
             return lane_sum(begin, end, [=](int64_t i) { return double(x[i]); });
           }));
}
template <class T>
void sum_squares(Cpu, T* y, const T* x, int64_t n) {
  y[0] = T(ordered_sum(n, [=](int64_t begin, int64_t end) {
    return lane_sum(begin, end, [=](int64_t i) { return double(x[i]) * double(x[i]); });
  }));
}
template <class T>
void fill_scalar(Cpu, T* y, const T* value, int64_t n, double factor) {
  const T v = T(factor) * value[0];
  parallel_for(n, kStreamGrain, [=](int64_t begin, int64_t end) { std::fill(y + begin, y + end, v); });
}
template <class T>
void sum_last(Cpu, T* y, const T* x, int64_t rows, int64_t channels) {
  parallel_for(rows, std::max<int64_t>(1, kStreamGrain / channels), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      y[r] = T(lane_sum(r * channels, (r + 1) * channels, [=](int64_t i) { return double(x[i]); }));
  });
}
template <class T>
void spread_last(Cpu, T* y, const T* x, int64_t rows, int64_t channels) {
  parallel_for(rows, std::max<int64_t>(1, kStreamGrain / channels), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) std::fill_n(y + r * channels, channels, x[r]);
  });
}
template <class T>
void sum_rows(Cpu, T* y, const T* x, int64_t rows, int64_t channels) {
  const auto total = column_sums(rows, channels, [=](int64_t r, double* sums) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) sums[c] += double(x[r * channels + c]);
  });
  for (int64_t c = 0; c < channels; ++c) y[c] = T(total[size_t(c)]);
}
template <class T>
void spread_rows(Cpu, T* y, const T* x, int64_t rows, int64_t channels) {
  parallel_for(rows, std::max<int64_t>(1, kStreamGrain / channels), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) std::copy_n(x, channels, y + r * channels);
  });
}

#define INSTANTIATE(T)                                            \
  template void sum_forward(Cpu, T*, const T*, int64_t, double);  \
  template void sum_squares(Cpu, T*, const T*, int64_t);          \
  template void fill_scalar(Cpu, T*, const T*, int64_t, double);  \
  template void sum_last(Cpu, T*, const T*, int64_t, int64_t);    \
  template void spread_last(Cpu, T*, const T*, int64_t, int64_t); \
  template void sum_rows(Cpu, T*, const T*, int64_t, int64_t);    \
  template void spread_rows(Cpu, T*, const T*, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
