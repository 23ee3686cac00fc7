// Batch, group and layer norm with a fused activation (formulas and shapes: norm.h).
//   columns   several positions an image, and batch norm, which is group norm of one image with a group for
//             each channel. Threads run along channels, so that NHWC is read in whole lines. column_sums
//             (ordered_sums.cuh) adds up each channel, shifted by a first element so that a large mean costs no
//             precision. Then one warp for each group adds its channels and chunks. The forward pass reads x
//             twice and writes y (3 n elements); the backward pass reads x and dy twice and writes dx (5 n).
//             Statistics and map need two passes over data that does not fit into a multiprocessor.
//   rows      one position an image (layer norm, modulated or not): a warp takes a row, and reads x from
//             memory once and from cache again. 2 n elements forward, 3 n backward, 2 n more for the
//             gradients of gain and offset.
// Limited by memory. Not measured on a GPU yet.
#include "kernels/activation/formulas.h"
#include "kernels/cuda/ordered_sums.cuh"
#include "kernels/norm/norm.h"

namespace dae {

namespace {

constexpr int kWarps = 8;

// The parameters of one element, and the formulas for y, du and dx.
struct Element {
  float mean, rstd, weight, bias;
  __device__ float xhat(float x) const { return (x - mean) * rstd; }
  __device__ float y(Act f, float x) const { return activate(f, xhat(x) * weight + bias); }
  __device__ float du(Act f, float dy, float x) const { return dy * slope_at(f, xhat(x) * weight + bias); }
  // Returns dx. mean_du and mean_dot are the means of du weight and of du weight xhat.
  __device__ float dx(Act f, float dy, float x, float mean_du, float mean_dot) const {
    return rstd * (weight * du(f, dy, x) - mean_du - xhat(x) * mean_dot);
  }
};

// Finds the parameters of an element. mean and spread are (images, groups), with `width` channels a group.
struct Statistics {
  const float *mean, *spread, *weight, *bias;
  bool is_variance;  // whether spread is the variance; otherwise it is rstd
  float eps;
  int groups, width;
  __device__ Element of(int64_t s, int c) const {
    return {mean[s], is_variance ? 1 / sqrtf(spread[s] + eps) : spread[s], weight ? weight[c] : 1.0f,
            bias ? bias[c] : 0.0f};
  }
  __device__ int64_t group(int64_t image, int c) const { return image * groups + c / width; }
};

// ---- columns ----

template <class T>
struct Moments {  // sums of d and d^2, where d = x - the first element of the group
  const T* x;
  int64_t image_size;
  int width;
  struct Column {
    float shift;
    __device__ Sums<2> sums(int64_t, float x) const { return {{x - shift, (x - shift) * (x - shift)}}; }
  };
  __device__ Column at(int64_t image, int c) const {
    return {float(x[image * image_size + c / width * width])};
  }
};

struct Forward {
  Statistics statistics;
  Act f;
  struct Column {
    Element element;
    Act f;
    __device__ float operator()(float x) const { return element.y(f, x); }
  };
  __device__ Column at(int64_t image, int c) const {
    return {statistics.of(statistics.group(image, c), c), f};
  }
};

struct ParameterGradient {  // sums of du and du xhat
  Statistics statistics;
  Act f;
  struct Column {
    Element element;
    Act f;
    __device__ Sums<2> sums(int64_t, float dy, float x) const {
      const float du = element.du(f, dy, x);
      return {{du, du * element.xhat(x)}};
    }
  };
  __device__ Column at(int64_t image, int c) const {
    return {statistics.of(statistics.group(image, c), c), f};
  }
};

struct InputGradient {
  Statistics statistics;
  Act f;
  const float *mean_du, *mean_dot;  // (images, groups); both may be null, which means zero
  struct Column {
    Element element;
    Act f;
    float mean_du, mean_dot;
    __device__ float operator()(float dy, float x) const { return element.dx(f, dy, x, mean_du, mean_dot); }
  };
  __device__ Column at(int64_t image, int c) const {
    const int64_t s = statistics.group(image, c);
    return {statistics.of(s, c), f, mean_du ? mean_du[s] : 0.0f, mean_dot ? mean_dot[s] : 0.0f};
  }
};

// Calls finish(s, sums) for every group s of every image, one warp each. The sums are over the channels of
// the group and the chunks of parts (images, chunks, 2, channels), times weight unless it is null.
template <class F>
__global__ void __launch_bounds__(32 * kWarps)
    group_parts_kernel(F finish, const float* parts, const float* weight, int64_t groups_of_all, int groups,
                       int width, int64_t chunks) {
  const int64_t s = int64_t(blockIdx.x) * kWarps + warp_of_block(), image = s / groups;
  if (s >= groups_of_all) return;
  const int channels = groups * width, first = int(s % groups) * width;
  Sums<2> sum{};
  for (int64_t j = lane_of_warp(); j < chunks * width; j += 32) {
    const int c = first + int(j % width);
    const float w = weight ? weight[c] : 1.0f;
    const float* part = parts + (image * chunks + j / width) * 2 * channels + c;
    sum.v[0] += w * part[0];
    sum.v[1] += w * part[channels];
  }
  sum.v[0] = warp_reduce(sum.v[0], Sum());
  sum.v[1] = warp_reduce(sum.v[1], Sum());
  if (lane_of_warp() == 0) finish(s, sum);
}

template <class F>
void group_parts(Cuda where, const char* name, const float* parts, const float* weight, const NormShape& s,
                 int64_t chunks, F finish) {
  launch(where, name, group_parts_kernel<F>, ceil_div(s.images * s.groups, kWarps), 32 * kWarps, 0, finish,
         parts, weight, s.images * s.groups, int(s.groups), int(s.channels / s.groups), chunks);
}

// ---- rows ----

// Calls f(first, size) for each pack of this lane in a row of `width` elements.
template <class T, class F>
__device__ inline void each_pack(int width, F f) {
  constexpr int kSize = Pack<T>::size;
  for (int j = lane_of_warp() * kSize; j < width; j += 32 * kSize) f(j, min(kSize, width - j));
}

// The gain and offset of a pack of a row come from the channels of its group, ...
struct ChannelGains {
  const float *weight, *bias;
  int groups, width;
  __device__ ChannelGains of_row(int64_t r) const {
    const int first = int(r % groups) * width;
    return {weight ? weight + first : nullptr, bias ? bias + first : nullptr, groups, width};
  }
  template <int kSize>
  __device__ void pack(int j, int size, bool, float (&gain)[kSize], float (&offset)[kSize]) const {
#pragma unroll
    for (int e = 0; e < kSize; ++e) {
      gain[e] = weight && e < size ? weight[j + e] : 1.0f;
      offset[e] = bias && e < size ? bias[j + e] : 0.0f;
    }
  }
};
// ... or from its image: 1 + scale, and shift (null means 0).
template <class T>
struct Modulation {
  const T *shift, *scale;
  int64_t positions;
  int width;
  __device__ Modulation of_row(int64_t r) const {
    const int64_t first = r / positions * width;
    return {shift ? shift + first : nullptr, scale + first, positions, width};
  }
  template <int kSize>
  __device__ void pack(int j, int size, bool aligned, float (&gain)[kSize], float (&offset)[kSize]) const {
    const Pack<T> by = load_part(scale + j, size, aligned);
    Pack<T> to{};
    if (shift) to = load_part(shift + j, size, aligned);
#pragma unroll
    for (int e = 0; e < kSize; ++e) gain[e] = 1 + float(by.v[e]), offset[e] = shift ? float(to.v[e]) : 0.0f;
  }
};

template <class T, class G>
__global__ void __launch_bounds__(32 * kWarps)
    norm_rows(T* y, float* mean, float* rstd, const T* x, G gains, int width, float eps, Act f, int64_t rows,
              bool aligned) {
  constexpr int kSize = Pack<T>::size;
  const int64_t r = int64_t(blockIdx.x) * kWarps + warp_of_block();
  if (r >= rows) return;
  const T* in = x + r * width;
  const G of_row = gains.of_row(r);
  const float shift = float(in[0]);
  float sum = 0, squares = 0;
  each_pack<T>(width, [&](int j, int size) {
    const Pack<T> v = load_part(in + j, size, aligned);
#pragma unroll
    for (int e = 0; e < kSize; ++e) {
      const float d = e < size ? float(v.v[e]) - shift : 0.0f;
      sum += d;
      squares += d * d;
    }
  });
  const float m = warp_reduce(sum, Sum()) / float(width), q = warp_reduce(squares, Sum()) / float(width);
  const float mean_of_row = shift + m, rstd_of_row = 1 / sqrtf(fmaxf(0.0f, q - m * m) + eps);
  if (lane_of_warp() == 0) mean[r] = mean_of_row, rstd[r] = rstd_of_row;
  each_pack<T>(width, [&](int j, int size) {
    Pack<T> v = load_part(in + j, size, aligned);
    float gain[kSize], offset[kSize];
    of_row.pack(j, size, aligned, gain, offset);
#pragma unroll
    for (int e = 0; e < kSize; ++e)
      v.v[e] = T(Element{mean_of_row, rstd_of_row, gain[e], offset[e]}.y(f, float(v.v[e])));
    store_part(y + r * width + j, v, size, aligned);
  });
}

template <class T, class G>
__global__ void __launch_bounds__(32 * kWarps)
    norm_rows_backward(T* dx, const T* dy, const T* x, const float* mean, const float* rstd, G gains,
                       int width, Act f, int64_t rows, bool aligned) {
  constexpr int kSize = Pack<T>::size;
  const int64_t r = int64_t(blockIdx.x) * kWarps + warp_of_block();
  if (r >= rows) return;
  const int64_t o = r * width;
  const G of_row = gains.of_row(r);
  const float mean_of_row = mean[r], rstd_of_row = rstd[r];
  float sum = 0, dot = 0;
  each_pack<T>(width, [&](int j, int size) {
    const Pack<T> g = load_part(dy + o + j, size, aligned), v = load_part(x + o + j, size, aligned);
    float gain[kSize], offset[kSize];
    of_row.pack(j, size, aligned, gain, offset);
#pragma unroll
    for (int e = 0; e < kSize; ++e) {
      const Element element{mean_of_row, rstd_of_row, gain[e], offset[e]};
      const float du = e < size ? element.weight * element.du(f, float(g.v[e]), float(v.v[e])) : 0.0f;
      sum += du;
      dot += du * element.xhat(float(v.v[e]));
    }
  });
  sum = warp_reduce(sum, Sum()) / float(width);
  dot = warp_reduce(dot, Sum()) / float(width);
  each_pack<T>(width, [&](int j, int size) {
    Pack<T> g = load_part(dy + o + j, size, aligned);
    const Pack<T> v = load_part(x + o + j, size, aligned);
    float gain[kSize], offset[kSize];
    of_row.pack(j, size, aligned, gain, offset);
#pragma unroll
    for (int e = 0; e < kSize; ++e) {
      const Element element{mean_of_row, rstd_of_row, gain[e], offset[e]};
      g.v[e] = T(element.dx(f, float(g.v[e]), float(v.v[e]), sum, dot));
    }
    store_part(dx + o + j, g, size, aligned);
  });
}

// The gradients of gain and offset, summed down the columns. The statistics change from row to row.
struct RowParameterGradient {
  Statistics statistics;
  Act f;
  struct Column {
    const float *mean, *rstd;
    Act f;
    int groups, group;
    float weight, bias;
    __device__ Sums<2> sums(int64_t row, float dy, float x) const {
      const int64_t s = row * groups + group;
      const Element element{mean[s], rstd[s], weight, bias};
      const float du = element.du(f, dy, x);
      return {{du, du * element.xhat(x)}};
    }
  };
  __device__ Column at(int64_t, int c) const {
    const int group = c / statistics.width;
    const Element element = statistics.of(group, c);
    return {statistics.mean, statistics.spread, f, statistics.groups, group, element.weight, element.bias};
  }
};

// The gradients of shift and scale, summed down the columns of an image.
struct ModulationGradient {
  const float *mean, *rstd;
  struct Column {
    const float *mean, *rstd;
    __device__ Sums<2> sums(int64_t row, float dy, float x) const {
      return {{dy, dy * (x - mean[row]) * rstd[row]}};
    }
  };
  __device__ Column at(int64_t, int) const { return {mean, rstd}; }
};

// ---- launching ----

__global__ void __launch_bounds__(256)
    update_running_kernel(float* running_mean, float* running_var, const float* mean, const float* var,
                          int64_t channels, float keep, float blend, float blend_var) {
  const int64_t c = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  running_mean[c] = keep * running_mean[c] + blend * mean[c];
  running_var[c] = keep * running_var[c] + blend_var * var[c];
}

float* floats(Cuda where, int64_t count) {
  return static_cast<float*>(workspace(where, size_t(count) * sizeof(float)));
}

// Writes dbias and dweight (channels), the sums of parts (count, 2, channels).
void parameter_gradients(Cuda where, const char* name, float* dweight, float* dbias, const float* parts,
                         int64_t count, int64_t channels) {
  sum_parts<2>(where, name, parts, count, channels, [=] __device__(int c, const Sums<2>& sum) {
    dbias[c] = sum.v[0];
    dweight[c] = sum.v[1];
  });
}

}  // namespace

template <class T>
void batch_statistics(Cuda where, Wide<T>* mean, Wide<T>* var, const T* x, int64_t rows, int64_t channels) {
  const ColumnTiles t = sum_tiles<T>(1, rows, channels);
  float* parts = floats(where, t.chunks * 2 * channels);
  column_sums<2>(where, "batch_statistics", t, 1, rows, channels, Moments<T>{x, 0, 1}, parts, x);
  const float share = 1 / float(rows);
  sum_parts<2>(where, "batch_statistics", parts, t.chunks, channels,
               [=] __device__(int c, const Sums<2>& sum) {
                 const float m = sum.v[0] * share;
                 mean[c] = float(x[c]) + m;
                 var[c] = fmaxf(0.0f, sum.v[1] * share - m * m);
               });
}

void update_running(Cuda where, float* running_mean, float* running_var, const float* mean, const float* var,
                    int64_t rows, int64_t channels, double momentum) {
  const double unbias = rows > 1 ? double(rows) / double(rows - 1) : 1;
  launch(where, "update_running", update_running_kernel, ceil_div(channels, 256), 256, 0, running_mean,
         running_var, mean, var, channels, float(1 - momentum), float(momentum), float(momentum * unbias));
}

template <class T>
void batch_norm_forward(Cuda where, T* y, const T* x, const Wide<T>* mean, const Wide<T>* var,
                        const Wide<T>* weight, const Wide<T>* bias, int64_t rows, int64_t channels,
                        double eps, Act act) {
  const Statistics statistics{mean, var, weight, bias, true, float(eps), int(channels), 1};
  map_columns(where, "batch_norm", 1, rows, channels, Forward{statistics, act}, y, x);
}

template <class T>
void batch_norm_backward(Cuda where, T* dx, Wide<T>* dweight, Wide<T>* dbias, const T* dy, const T* x,
                         const Wide<T>* mean, const Wide<T>* var, const Wide<T>* weight, const Wide<T>* bias,
                         int64_t rows, int64_t channels, double eps, Act act, bool training) {
  const Statistics statistics{mean, var, weight, bias, true, float(eps), int(channels), 1};
  float *mean_du = nullptr, *mean_dot = nullptr;
  if (training || dweight) {
    const ColumnTiles t = sum_tiles<T>(1, rows, channels);
    float* parts = floats(where, (t.chunks + 1) * 2 * channels);
    column_sums<2>(where, "batch_norm_backward", t, 1, rows, channels, ParameterGradient{statistics, act},
                   parts, dy, x);
    if (training) mean_du = parts + t.chunks * 2 * channels, mean_dot = mean_du + channels;
    const float share = 1 / float(rows);
    sum_parts<2>(where, "batch_norm_backward", parts, t.chunks, channels,
                 [=] __device__(int c, const Sums<2>& sum) {
                   if (dweight) dbias[c] = sum.v[0], dweight[c] = sum.v[1];
                   if (!mean_du) return;
                   mean_du[c] = weight[c] * sum.v[0] * share;
                   mean_dot[c] = weight[c] * sum.v[1] * share;
                 });
  }
  if (dx)
    map_columns(where, "batch_norm_backward", 1, rows, channels,
                InputGradient{statistics, act, mean_du, mean_dot}, dx, dy, x);
}

template <class T>
void group_norm_forward(Cuda where, T* y, Wide<T>* mean, Wide<T>* rstd, const T* x, const Wide<T>* weight,
                        const Wide<T>* bias, NormShape s, double eps, Act act) {
  const int width = int(s.channels / s.groups);
  const Statistics statistics{mean, rstd, weight, bias, false, 0, int(s.groups), width};
  if (s.positions == 1) {
    const int64_t rows = s.images * s.groups;
    const bool aligned = width % Pack<T>::size == 0 && on_16_bytes(y) && on_16_bytes(x);
    launch(where, "layer_norm", norm_rows<T, ChannelGains>, ceil_div(rows, kWarps), 32 * kWarps, 0, y, mean,
           rstd, x, ChannelGains{weight, bias, int(s.groups), width}, width, float(eps), act, rows, aligned);
    return;
  }
  const ColumnTiles t = sum_tiles<T>(s.images, s.positions, s.channels);
  float* parts = floats(where, s.images * t.chunks * 2 * s.channels);
  const int64_t image_size = s.positions * s.channels;
  column_sums<2>(where, "group_norm", t, s.images, s.positions, s.channels, Moments<T>{x, image_size, width},
                 parts, x);
  const float share = 1 / float(s.positions * width), epsilon = float(eps);
  const int groups = int(s.groups);
  group_parts(where, "group_norm", parts, nullptr, s, t.chunks,
              [=] __device__(int64_t g, const Sums<2>& sum) {
                const float m = sum.v[0] * share;
                mean[g] = float(x[g / groups * image_size + g % groups * width]) + m;
                rstd[g] = 1 / sqrtf(fmaxf(0.0f, sum.v[1] * share - m * m) + epsilon);
              });
  map_columns(where, "group_norm", s.images, s.positions, s.channels, Forward{statistics, act}, y, x);
}

template <class T>
void group_norm_backward(Cuda where, T* dx, Wide<T>* dweight, Wide<T>* dbias, const T* dy, const T* x,
                         const Wide<T>* mean, const Wide<T>* rstd, const Wide<T>* weight, const Wide<T>* bias,
                         NormShape s, Act act) {
  const int width = int(s.channels / s.groups);
  const Statistics statistics{mean, rstd, weight, bias, false, 0, int(s.groups), width};
  if (s.positions == 1) {
    const int64_t rows = s.images * s.groups;
    const bool aligned = width % Pack<T>::size == 0 && on_16_bytes(dx) && on_16_bytes(dy) && on_16_bytes(x);
    if (dx)
      launch(where, "layer_norm_backward", norm_rows_backward<T, ChannelGains>, ceil_div(rows, kWarps),
             32 * kWarps, 0, dx, dy, x, mean, rstd, ChannelGains{weight, bias, int(s.groups), width}, width,
             act, rows, aligned);
    if (!dweight) return;
    const ColumnTiles t = sum_tiles<T>(1, s.images, s.channels);
    float* parts = floats(where, t.chunks * 2 * s.channels);
    column_sums<2>(where, "layer_norm_backward", t, 1, s.images, s.channels,
                   RowParameterGradient{statistics, act}, parts, dy, x);
    parameter_gradients(where, "layer_norm_backward", dweight, dbias, parts, t.chunks, s.channels);
    return;
  }
  const ColumnTiles t = sum_tiles<T>(s.images, s.positions, s.channels);
  const int64_t parts_size = s.images * t.chunks * 2 * s.channels, groups = s.images * s.groups;
  float *parts = floats(where, parts_size + 2 * groups), *mean_du = parts + parts_size,
        *mean_dot = mean_du + groups;
  column_sums<2>(where, "group_norm_backward", t, s.images, s.positions, s.channels,
                 ParameterGradient{statistics, act}, parts, dy, x);
  if (dweight)
    parameter_gradients(where, "group_norm_backward", dweight, dbias, parts, s.images * t.chunks, s.channels);
  if (!dx) return;
  const float share = 1 / float(s.positions * width);
  group_parts(where, "group_norm_backward", parts, weight, s, t.chunks,
              [=] __device__(int64_t g, const Sums<2>& sum) {
                mean_du[g] = sum.v[0] * share;
                mean_dot[g] = sum.v[1] * share;
              });
  map_columns(where, "group_norm_backward", s.images, s.positions, s.channels,
              InputGradient{statistics, act, mean_du, mean_dot}, dx, dy, x);
}

template <class T>
void modulated_norm_forward(Cuda where, T* y, Wide<T>* mean, Wide<T>* rstd, const T* x, const T* shift,
                            const T* scale, NormShape s, double eps) {
  const int width = int(s.channels);
  const int64_t rows = s.images * s.positions;
  const bool aligned = width % Pack<T>::size == 0 && on_16_bytes(y) && on_16_bytes(x) && on_16_bytes(shift) &&
                       on_16_bytes(scale);
  launch(where, "modulated_norm", norm_rows<T, Modulation<T>>, ceil_div(rows, kWarps), 32 * kWarps, 0, y,
         mean, rstd, x, Modulation<T>{shift, scale, s.positions, width}, width, float(eps), Act::none, rows,
         aligned);
}

template <class T>
void modulated_norm_backward(Cuda where, T* dx, T* dshift, T* dscale, const T* dy, const T* x,
                             const Wide<T>* mean, const Wide<T>* rstd, const T* scale, NormShape s) {
  const int width = int(s.channels);
  const int64_t rows = s.images * s.positions;
  const bool aligned = width % Pack<T>::size == 0 && on_16_bytes(dx) && on_16_bytes(dy) && on_16_bytes(x) &&
                       on_16_bytes(scale);
  if (dx)
    launch(where, "modulated_norm_backward", norm_rows_backward<T, Modulation<T>>, ceil_div(rows, kWarps),
           32 * kWarps, 0, dx, dy, x, mean, rstd, Modulation<T>{nullptr, scale, s.positions, width}, width,
           Act::none, rows, aligned);
  if (!dshift) return;
  const ColumnTiles t = sum_tiles<T>(s.images, s.positions, s.channels);
  float* parts = floats(where, s.images * t.chunks * 2 * s.channels);
  column_sums<2>(where, "modulated_norm_backward", t, s.images, s.positions, s.channels,
                 ModulationGradient{mean, rstd}, parts, dy, x);
  sum_image_parts<2>(where, "modulated_norm_backward", parts, s.images, t.chunks, s.channels,
                     [=] __device__(int64_t i, const Sums<2>& sum) {
                       dshift[i] = T(sum.v[0]);
                       dscale[i] = T(sum.v[1]);
                     });
}

#define INSTANTIATE(T)                                                                                     \
  template void batch_statistics(Cuda, Wide<T>*, Wide<T>*, const T*, int64_t, int64_t);                    \
  template void batch_norm_forward(Cuda, T*, const T*, const Wide<T>*, const Wide<T>*, const Wide<T>*,     \
                                   const Wide<T>*, int64_t, int64_t, double, Act);                         \
  template void batch_norm_backward(Cuda, T*, Wide<T>*, Wide<T>*, const T*, const T*, const Wide<T>*,      \
                                    const Wide<T>*, const Wide<T>*, const Wide<T>*, int64_t, int64_t,      \
                                    double, Act, bool);                                                    \
  template void group_norm_forward(Cuda, T*, Wide<T>*, Wide<T>*, const T*, const Wide<T>*, const Wide<T>*, \
                                   NormShape, double, Act);                                                \
  template void group_norm_backward(Cuda, T*, Wide<T>*, Wide<T>*, const T*, const T*, const Wide<T>*,      \
                                    const Wide<T>*, const Wide<T>*, const Wide<T>*, NormShape, Act);       \
  template void modulated_norm_forward(Cuda, T*, Wide<T>*, Wide<T>*, const T*, const T*, const T*,         \
                                       NormShape, double);                                                 \
  template void modulated_norm_backward(Cuda, T*, T*, T*, const T*, const T*, const Wide<T>*,              \
                                        const Wide<T>*, const T*, NormShape);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
