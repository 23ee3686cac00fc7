// CPU kernels of elementwise.h, which gives the formulas and shapes.
#include "kernels/elementwise/elementwise.h"

#include <cmath>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd_math.h"

namespace dae {

template <class T>
void binary_forward(Cpu, Binary op, T* y, const T* a, const T* b, int64_t n) {
  switch (op) {
    case Binary::add:
      return each_element(n, [=](int64_t i) { y[i] = a[i] + b[i]; });
    case Binary::sub:
      return each_element(n, [=](int64_t i) { y[i] = a[i] - b[i]; });
    case Binary::mul:
      return each_element(n, [=](int64_t i) { y[i] = a[i] * b[i]; });
    case Binary::div:
      return each_element(n, [=](int64_t i) { y[i] = a[i] / b[i]; });
  }
}

template <class T>
void binary_backward(Cpu, Binary op, T* da, T* db, const T* dy, const T* a, const T* b, int64_t n) {
  switch (op) {
    case Binary::add:
      if (da) each_element(n, [=](int64_t i) { da[i] = dy[i]; });
      if (db) each_element(n, [=](int64_t i) { db[i] = dy[i]; });
      return;
    case Binary::sub:
      if (da) each_element(n, [=](int64_t i) { da[i] = dy[i]; });
      if (db) each_element(n, [=](int64_t i) { db[i] = -dy[i]; });
      return;
    case Binary::mul:
      if (da) each_element(n, [=](int64_t i) { da[i] = dy[i] * b[i]; });
      if (db) each_element(n, [=](int64_t i) { db[i] = dy[i] * a[i]; });
      return;
    case Binary::div:
      if (da) each_element(n, [=](int64_t i) { da[i] = dy[i] / b[i]; });
      if (db) each_element(n, [=](int64_t i) { db[i] = -dy[i] * a[i] / (b[i] * b[i]); });
      return;
  }
}

template <class T>
void unary_forward(Cpu, Unary op, T* y, const T* x, int64_t n) {
  switch (op) {
    case Unary::square:
      return each_element(n, [=](int64_t i) { y[i] = x[i] * x[i]; });
    case Unary::sqrt:
      return each_element(n, [=](int64_t i) { y[i] = std::sqrt(x[i]); });
    case Unary::exp:
      return each_element(n, [=](int64_t i) { y[i] = fast_exp(x[i]); });
    case Unary::log:
      return each_element(n, [=](int64_t i) { y[i] = fast_log(x[i]); });
    case Unary::abs:
      return each_element(n, [=](int64_t i) { y[i] = std::fabs(x[i]); });
  }
}

template <class T>
void unary_backward(Cpu, Unary op, T* dx, const T* dy, const T* kept, int64_t n) {
  switch (op) {
    case Unary::square:
      return each_element(n, [=](int64_t i) { dx[i] = 2 * kept[i] * dy[i]; });
    case Unary::sqrt:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] / (2 * kept[i]); });
    case Unary::exp:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * kept[i]; });
    case Unary::log:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] / kept[i]; });
    case Unary::abs:
      return each_element(n, [=](int64_t i) { dx[i] = dy[i] * T((kept[i] > 0) - (kept[i] < 0)); });
  }
}

template <class T>
void affine(Cpu, T* y, const T* x, double factor, double offset, int64_t n) {
  const T f = T(factor), o = T(offset);
  each_element(n, [=](int64_t i) { y[i] = f * x[i] + o; });
}
template <class T>
void scale_by(Cpu, T* y, const T* x, const Wide<T>* s, int64_t n) {
  const T f = s[0];
  each_element(n, [=](int64_t i) { y[i] = f * x[i]; });
}
template <class T>
void clamp_forward(Cpu, T* y, const T* x, double low, double high, int64_t n) {
  const T l = T(low), h = T(high);
  each_element(n, [=](int64_t i) { y[i] = x[i] < l ? l : (x[i] > h ? h : x[i]); });
}
template <class T>
void clamp_backward(Cpu, T* dx, const T* dy, const T* x, double low, double high, int64_t n) {
  const T l = T(low), h = T(high);
  each_element(n, [=](int64_t i) { dx[i] = x[i] < l || x[i] > h ? T(0) : dy[i]; });
}

template <class T>
void add_bias(Cpu, T* y, const T* x, const Wide<T>* bias, int64_t rows, int64_t channels) {
  parallel_for(rows, std::max<int64_t>(1, kStreamGrain / channels), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) y[r * channels + c] = x[r * channels + c] + bias[c];
    }
  });
}

template <class T>
void gate_add_forward(Cpu, T* y, const T* residual, const T* gate, const T* x, int64_t images,
                      int64_t positions, int64_t channels) {
  parallel_for(images, 1, [=](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t p = 0; p < positions; ++p) {
        const int64_t o = (n * positions + p) * channels, s = n * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) y[o + c] = residual[o + c] + gate[s + c] * x[o + c];
      }
  });
}

template <class T>
void gate_add_backward(Cpu, T* dgate, T* dx, const T* dy, const T* gate, const T* x, int64_t images,
                       int64_t positions, int64_t channels) {
  parallel_for(images, 1, [=](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t s = n * channels;
      std::fill_n(dgate + s, channels, T(0));
      for (int64_t p = 0; p < positions; ++p) {
        const int64_t o = (n * positions + p) * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
          dx[o + c] = dy[o + c] * gate[s + c];
          dgate[s + c] += dy[o + c] * x[o + c];
        }
      }
    }
  });
}

#define INSTANTIATE(T)                                                                              \
  template void binary_forward(Cpu, Binary, T*, const T*, const T*, int64_t);                       \
  template void binary_backward(Cpu, Binary, T*, T*, const T*, const T*, const T*, int64_t);        \
  template void unary_forward(Cpu, Unary, T*, const T*, int64_t);                                   \
  template void unary_backward(Cpu, Unary, T*, const T*, const T*, int64_t);                        \
  template void affine(Cpu, T*, const T*, double, double, int64_t);                                 \
  template void scale_by(Cpu, T*, const T*, const Wide<T>*, int64_t);                               \
  template void clamp_forward(Cpu, T*, const T*, double, double, int64_t);                          \
  template void clamp_backward(Cpu, T*, const T*, const T*, double, double, int64_t);               \
  template void add_bias(Cpu, T*, const T*, const Wide<T>*, int64_t, int64_t);                      \
  template void gate_add_forward(Cpu, T*, const T*, const T*, const T*, int64_t, int64_t, int64_t); \
  template void gate_add_backward(Cpu, T*, T*, const T*, const T*, const T*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
