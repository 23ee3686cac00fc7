#include "kernels/norm/norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/activation/formulas.h"
#include "kernels/cpu/ordered_sums.h"

namespace dae {

namespace {

template <class F>
void each_row(int64_t rows, int64_t channels, F f) {
  parallel_for(rows, std::max<int64_t>(1, kStreamGrain / channels), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) f(r);
  });
}

// Adds to sums[c] and sums[channels + c] the pair f(p, c) of all positions p. 8 positions at a time are added
// in T, and these partial sums in f64.
template <class T, class F>
void add_positions(double* sums, int64_t positions, int64_t channels, F f) {
  int64_t p = 0;
  for (; p + 8 <= positions; p += 8)
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      T a = 0, b = 0;
#pragma GCC unroll 8
      for (int64_t j = 0; j < 8; ++j) {
        const Pair<T> v = f(p + j, c);
        a += v.a, b += v.b;
      }
      sums[c] += double(a), sums[channels + c] += double(b);
    }
  for (; p < positions; ++p)
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const Pair<T> v = f(p, c);
      sums[c] += double(v.a), sums[channels + c] += double(v.b);
    }
}

bool is_layer_norm(NormShape s, Act act) { return s.positions == 1 && s.groups == 1 && act == Act::none; }

}  // namespace

template <class T>
void batch_statistics(Cpu, T* mean, T* var, const T* x, int64_t rows, int64_t channels) {
  // Shifted by the first row, so that a large mean costs the variance no precision.
  const auto sums = column_sums(rows, 2 * channels, [=](int64_t r, double* s) {
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      const double d = double(x[r * channels + c]) - double(x[c]);
      s[c] += d;
      s[channels + c] += d * d;
    }
  });
  for (int64_t c = 0; c < channels; ++c) {
    const double m = sums[size_t(c)] / double(rows), q = sums[size_t(channels + c)] / double(rows);
    mean[c] = T(double(x[c]) + m);
    var[c] = T(std::max(0.0, q - m * m));
  }
}

template <class T>
void update_running(Cpu, T* running_mean, T* running_var, const T* mean, const T* var, int64_t rows,
                    int64_t channels, double momentum) {
  const double unbias = rows > 1 ? double(rows) / double(rows - 1) : 1;
  for (int64_t c = 0; c < channels; ++c) {
    running_mean[c] = T((1 - momentum) * double(running_mean[c]) + momentum * double(mean[c]));
    running_var[c] = T((1 - momentum) * double(running_var[c]) + momentum * unbias * double(var[c]));
  }
}

template <class T>
void batch_norm_forward(Cpu, T* y, const T* x, const T* mean, const T* var, const T* weight, const T* bias,
                        int64_t rows, int64_t channels, double eps, Act act) {
  std::vector<T> scale(static_cast<size_t>(channels));  // y = f((x - mean) scale + bias)
  for (int64_t c = 0; c < channels; ++c)
    scale[size_t(c)] = T(double(weight[c]) / std::sqrt(double(var[c]) + eps));
  with_act(act, [&]<Act a>() {
    each_row(rows, channels, [&](int64_t r) {
      const T* in = x + r * channels;
      T* out = y + r * channels;
      const T* s = scale.data();
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) out[c] = activate<a>((in[c] - mean[c]) * s[c] + bias[c]);
    });
  });
}

template <class T>
void batch_norm_backward(Cpu, T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* mean,
                         const T* var, const T* weight, const T* bias, int64_t rows, int64_t channels,
                         double eps, Act act, bool training) {
  std::vector<T> rstd(static_cast<size_t>(channels)), from_sum(static_cast<size_t>(channels)),
      from_dot(static_cast<size_t>(channels));
  std::vector<double> sums;  // of du, then of du xhat
  for (int64_t c = 0; c < channels; ++c) rstd[size_t(c)] = T(1 / std::sqrt(double(var[c]) + eps));
  const T* rs = rstd.data();
  with_act(act, [&]<Act a>() {
    const auto add_row = [=](int64_t r, double* s) {
      const T* in = x + r * channels;
      const T* g = dy + r * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        const T xhat = (in[c] - mean[c]) * rs[c], du = g[c] * slope_at<a>(xhat * weight[c] + bias[c]);
        s[c] += double(du);
        s[channels + c] += double(du * xhat);
      }
    };
    if (training || dweight) sums = column_sums(rows, 2 * channels, add_row);
    for (int64_t c = 0; c < channels && dweight; ++c) {
      dbias[c] = T(sums[size_t(c)]);
      dweight[c] = T(sums[size_t(channels + c)]);
    }
    for (int64_t c = 0; c < channels && training; ++c) {
      from_sum[size_t(c)] = T(sums[size_t(c)] / double(rows));
      from_dot[size_t(c)] = T(sums[size_t(channels + c)] / double(rows));
    }
    if (!dx) return;
    const T *m0 = from_sum.data(), *m1 = from_dot.data();
    each_row(rows, channels, [=](int64_t r) {
      const T* in = x + r * channels;
      const T* g = dy + r * channels;
      T* out = dx + r * channels;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        const T xhat = (in[c] - mean[c]) * rs[c], du = g[c] * slope_at<a>(xhat * weight[c] + bias[c]);
        out[c] = weight[c] * rs[c] * (du - m0[c] - xhat * m1[c]);
      }
    });
  });
}

template <class T>
void group_norm_forward(Cpu, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, NormShape s,
                        double eps, Act act) {
  if (is_layer_norm(s, act))
    return layer_norm_forward(Cpu{}, y, mean, rstd, x, weight, bias, s.images, s.channels, eps);
  const int64_t width = s.channels / s.groups, count = s.positions * width;
  with_act(act, [&]<Act a>() {
    parallel_for(
        s.images, std::max<int64_t>(1, 2048 / (s.positions * s.channels)), [&](int64_t begin, int64_t end) {
          thread_local std::vector<double> sums;
          thread_local std::vector<T> scale, offset;  // by channel; the offset is first the shift of the sums
          scale.resize(size_t(s.channels)), offset.resize(size_t(s.channels));
          T *const sc = scale.data(), *const of = offset.data();
          for (int64_t n = begin; n < end; ++n) {
            const T* in = x + n * s.positions * s.channels;
            T* out = y + n * s.positions * s.channels;
            sums.assign(size_t(2 * s.channels), 0.0);
            double* sum = sums.data();
            for (int64_t g = 0; g < s.groups; ++g) std::fill_n(of + g * width, width, in[g * width]);
            add_positions<T>(sum, s.positions, s.channels, [=](int64_t p, int64_t c) {
              const T d = in[p * s.channels + c] - of[c];
              return Pair<T>{d, d * d};
            });
            for (int64_t g = 0; g < s.groups; ++g) {
              double total = 0, squares = 0;
#pragma omp simd reduction(+ : total, squares)
              for (int64_t c = g * width; c < (g + 1) * width; ++c)
                total += sum[c], squares += sum[s.channels + c];
              const double m = total / double(count), var = std::max(0.0, squares / double(count) - m * m);
              mean[n * s.groups + g] = T(double(in[g * width]) + m);
              rstd[n * s.groups + g] = T(1 / std::sqrt(var + eps));
              for (int64_t c = g * width; c < (g + 1) * width; ++c) {
                sc[c] = rstd[n * s.groups + g] * (weight ? weight[c] : T(1));
                of[c] = mean[n * s.groups + g];
              }
            }
            // An activation with an exponential goes over the row again: in one loop with the norm its chain of
            // operations is too long for a processor to overlap many of them.
            constexpr bool again = a == Act::silu || a == Act::gelu || a == Act::gelu_tanh;
            for (int64_t p = 0; p < s.positions; ++p) {
              T* row = out + p * s.channels;
#pragma omp simd
              for (int64_t c = 0; c < s.channels; ++c)
                row[c] = activate < again
                             ? Act::none
                             : a > ((in[p * s.channels + c] - of[c]) * sc[c] + (bias ? bias[c] : T(0)));
              if constexpr (again) {
#pragma omp simd
                for (int64_t c = 0; c < s.channels; ++c) row[c] = activate<a>(row[c]);
              }
            }
          }
        });
  });
}

template <class T>
void group_norm_backward(Cpu, T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* mean,
                         const T* rstd, const T* weight, const T* bias, NormShape s, Act act) {
  if (is_layer_norm(s, act))
    return layer_norm_backward(Cpu{}, dx, dweight, dbias, dy, x, mean, rstd, weight, s.images, s.channels);
  const int64_t width = s.channels / s.groups, count = s.positions * width;
  // For each image and channel: the sums over positions of du and du xhat. dweight, dbias and the two means
  // of a group are made from them.
  std::vector<double> sums(size_t(s.images * 2 * s.channels), 0.0);
  with_act(act, [&]<Act a>() {
    parallel_for(
        s.images, std::max<int64_t>(1, 2048 / (s.positions * s.channels)), [&](int64_t begin, int64_t end) {
          // The inner loops read their parameters by channel, as a group can be narrower than a vector.
          thread_local std::vector<T> columns;
          columns.resize(size_t(6 * s.channels));
          T *const w = columns.data(), *const b = w + s.channels, *const mu = b + s.channels,
                   *const rs = mu + s.channels, *const m0 = rs + s.channels, *const m1 = m0 + s.channels;
          for (int64_t c = 0; c < s.channels; ++c)
            w[c] = weight ? weight[c] : T(1), b[c] = bias ? bias[c] : T(0);
          for (int64_t n = begin; n < end; ++n) {
            const int64_t base = n * s.positions * s.channels;
            double* sum = sums.data() + n * 2 * s.channels;
            for (int64_t k = 0; k < s.groups; ++k) {
              std::fill_n(mu + k * width, width, mean[n * s.groups + k]);
              std::fill_n(rs + k * width, width, rstd[n * s.groups + k]);
            }
            const T *in = x + base, *g = dy + base;
            T* out = dx ? dx + base : nullptr;  // holds du first, so that the slope is computed once
            add_positions<T>(sum, s.positions, s.channels, [=](int64_t p, int64_t c) {
              const int64_t i = p * s.channels + c;
              const T xhat = (in[i] - mu[c]) * rs[c], du = g[i] * slope_at<a>(xhat * w[c] + b[c]);
              if (out) out[i] = du;
              return Pair<T>{du, du * xhat};
            });
            if (!dx) continue;
            for (int64_t k = 0; k < s.groups; ++k) {
              double total = 0, dot = 0;
#pragma omp simd reduction(+ : total, dot)
              for (int64_t c = k * width; c < (k + 1) * width; ++c)
                total += double(w[c]) * sum[c], dot += double(w[c]) * sum[s.channels + c];
              std::fill_n(m0 + k * width, width, T(total / double(count)));
              std::fill_n(m1 + k * width, width, T(dot / double(count)));
            }
            for (int64_t p = 0; p < s.positions; ++p) {
#pragma omp simd
              for (int64_t c = 0; c < s.channels; ++c) {
                const int64_t i = p * s.channels + c;
                out[i] = rs[c] * (w[c] * out[i] - m0[c] - (in[i] - mu[c]) * rs[c] * m1[c]);
              }
            }
          }
        });
  });
  if (!dweight) return;
  const auto total = column_sums(s.images, 2 * s.channels, [&](int64_t n, double* t) {
    for (int64_t j = 0; j < 2 * s.channels; ++j) t[j] += sums[size_t(n * 2 * s.channels + j)];
  });
  for (int64_t c = 0; c < s.channels; ++c) {
    dbias[c] = T(total[size_t(c)]);
    dweight[c] = T(total[size_t(s.channels + c)]);
  }
}

#define INSTANTIATE(T)                                                                                     \
  template void batch_statistics(Cpu, T*, T*, const T*, int64_t, int64_t);                                 \
  template void update_running(Cpu, T*, T*, const T*, const T*, int64_t, int64_t, double);                 \
  template void batch_norm_forward(Cpu, T*, const T*, const T*, const T*, const T*, const T*, int64_t,     \
                                   int64_t, double, Act);                                                  \
  template void batch_norm_backward(Cpu, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,     \
                                    const T*, int64_t, int64_t, double, Act, bool);                        \
  template void group_norm_forward(Cpu, T*, T*, T*, const T*, const T*, const T*, NormShape, double, Act); \
  template void group_norm_backward(Cpu, T*, T*, T*, const T*, const T*, const T*, const T*, const T*,     \
                                    const T*, NormShape, Act);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
