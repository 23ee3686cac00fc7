#include "kernels/softmax/softmax.h"

#include <cmath>

#include "kernels/cpu/ordered_sums.h"
#include "kernels/cpu/simd_math.h"

namespace dae {

namespace {

template <class F>
void each_row(int64_t rows, int64_t channels, F f) {
  parallel_for(rows, std::max<int64_t>(1, kStreamGrain / channels), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r);
  });
}

// Writes y = softmax(x) for one row and returns log(sum e^x).
template <class T>
double softmax_row(T* y, const T* x, int64_t channels) {
  const T top = *std::max_element(x, x + channels);
#pragma omp simd
  for (int64_t c = 0; c < channels; ++c) y[c] = fast_exp(x[c] - top);
  const double total = lane_sum(0, channels, [=](int64_t c) { return double(y[c]); });
  const T inverse = T(1 / total);
#pragma omp simd
  for (int64_t c = 0; c < channels; ++c) y[c] *= inverse;
  return double(top) + std::log(total);
}

}  // namespace

template <class T>
void softmax_forward(Cpu, T* y, const T* x, int64_t rows, int64_t channels) {
  each_row(rows, channels, [=](int64_t r) { softmax_row(y + r * channels, x + r * channels, channels); });
}
template <class T>
void softmax_backward(Cpu, T* dx, const T* dy, const T* y, int64_t rows, int64_t channels) {
  each_row(rows, channels, [=](int64_t r) {
    const int64_t o = r * channels;
    const double dot = lane_sum(o, o + channels, [=](int64_t i) { return double(dy[i]) * double(y[i]); });
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) dx[o + c] = y[o + c] * (dy[o + c] - T(dot));
  });
}
template <class T>
void cross_entropy_forward(Cpu, Wide<T>* loss, T* probability, const T* logits, const int64_t* label,
                           int64_t rows, int64_t channels) {
  loss[0] = T(ordered_sum(rows,
                          [=](int64_t begin, int64_t end) {
                            double s = 0;
                            for (int64_t r = begin; r < end; ++r)
                              s += softmax_row(probability + r * channels, logits + r * channels, channels) -
                                   double(logits[r * channels + label[r]]);
                            return s;
                          }) /
              double(rows));
}
template <class T>
void cross_entropy_backward(Cpu, T* dlogits, const Wide<T>* dloss, const T* probability, const int64_t* label,
                            int64_t rows, int64_t channels) {
  const T g = dloss[0] / T(rows);
  each_row(rows, channels, [=](int64_t r) {
    const int64_t o = r * channels;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) dlogits[o + c] = g * probability[o + c];
    dlogits[o + label[r]] -= g;
  });
}

#define INSTANTIATE(T)                                                                                \
  template void softmax_forward(Cpu, T*, const T*, int64_t, int64_t);                                 \
  template void softmax_backward(Cpu, T*, const T*, const T*, int64_t, int64_t);                      \
  template void cross_entropy_forward(Cpu, Wide<T>*, T*, const T*, const int64_t*, int64_t, int64_t); \
  template void cross_entropy_backward(Cpu, T*, const Wide<T>*, const T*, const int64_t*, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
