// Softmax over each row of (rows, channels), and cross-entropy:
//   y       = e^(x - max) / sum e^(x - max)
//   dx      = y (dy - sum(dy y))
//   loss    = mean over rows of log(sum e^x) - x[label]
//   dlogits = dloss / rows (probability - [c = label])
// Kernels:
//   warp    one warp for each row of up to 1024 channels, which stays in registers: read once, no barrier
//   block   one block for each row of any length: the first pass keeps a running maximum and the sum relative
//           to it, the second (from cache) writes
// Limited by memory: 2 n elements forward, 3 n backward. Not measured on a GPU yet.
#include "kernels/cuda/map.cuh"
#include "kernels/device/gpu.h"
#include "kernels/softmax/softmax.h"

namespace dae {

namespace {

constexpr int kWarps = 8, kWarpChannels = 1024, kBlock = 256;

// Writes the loss of a row, log(sum e^x) - x[label], if there are labels. A label outside the channels is
// reported (gpu.h), and its loss is 0.
struct Target {
  const int64_t* label = nullptr;
  float* row_loss = nullptr;
  WrongIndex* wrong = nullptr;
  const char* op = nullptr;  // a host pointer, for the report

  template <class T>
  __device__ void write(int64_t r, const T* row, int64_t channels, float log_sum) const {
    const int64_t k = label[r];
    if (k >= 0 && k < channels) row_loss[r] = log_sum - float(row[k]);
    else *wrong = {op, k, channels}, row_loss[r] = 0;
  }
};

template <class T, int Values>  // Values: the channels that a lane holds
__global__ void __launch_bounds__(32 * kWarps)
    softmax_warp(T* y, const T* x, Target target, int64_t rows, int channels) {
  const int64_t r = int64_t(blockIdx.x) * kWarps + warp_of_block();
  if (r >= rows) return;
  const T* in = x + r * channels;
  T* out = y + r * channels;
  float v[Values], top = -INFINITY, sum = 0;
#pragma unroll
  for (int j = 0; j < Values; ++j) {
    const int c = lane_of_warp() + 32 * j;
    v[j] = c < channels ? float(in[c]) : -INFINITY;
    top = Maximum()(top, v[j]);
  }
  top = warp_reduce(top, Maximum());
#pragma unroll
  for (int j = 0; j < Values; ++j) {
    v[j] = expf(v[j] - top);
    sum += v[j];
  }
  sum = warp_reduce(sum, Sum());
  if (target.label && lane_of_warp() == 0) target.write(r, in, channels, top + logf(sum));
  const float inverse = 1 / sum;
#pragma unroll
  for (int j = 0; j < Values; ++j) {
    const int c = lane_of_warp() + 32 * j;
    if (c < channels) out[c] = T(v[j] * inverse);
  }
}

struct Running {  // the largest value so far, and the sum of e^(x - top)
  float top, sum;
};
struct Merge {
  __device__ Running operator()(Running a, Running b) const {
    const float top = Maximum()(a.top, b.top);
    if (top == -INFINITY) return {top, 0.0f};
    return {top, a.sum * expf(a.top - top) + b.sum * expf(b.top - top)};
  }
};

template <class T>
__global__ void __launch_bounds__(kBlock) softmax_block(T* y, const T* x, Target target, int64_t channels) {
  const int64_t r = blockIdx.x;
  const T* in = x + r * channels;
  T* out = y + r * channels;
  float top = -INFINITY, sum = 0;
  for (int64_t c = threadIdx.x; c < channels; c += kBlock) {
    const Running merged = Merge()({top, sum}, {float(in[c]), 1.0f});
    top = merged.top, sum = merged.sum;
  }
  const float row_top = block_reduce(top, Maximum());
  const float row_sum = block_reduce(top == -INFINITY ? 0.0f : sum * expf(top - row_top), Sum());
  if (target.label && threadIdx.x == 0) target.write(r, in, channels, row_top + logf(row_sum));
  const float inverse = 1 / row_sum;
  for (int64_t c = threadIdx.x; c < channels; c += kBlock) out[c] = T(expf(float(in[c]) - row_top) * inverse);
}

template <class T, int Values>
__global__ void __launch_bounds__(32 * kWarps)
    softmax_backward_warp(T* dx, const T* dy, const T* y, int64_t rows, int channels) {
  const int64_t r = int64_t(blockIdx.x) * kWarps + warp_of_block(), o = r * channels;
  if (r >= rows) return;
  float g[Values], p[Values], dot = 0;
#pragma unroll
  for (int j = 0; j < Values; ++j) {
    const int c = lane_of_warp() + 32 * j;
    g[j] = c < channels ? float(dy[o + c]) : 0.0f;
    p[j] = c < channels ? float(y[o + c]) : 0.0f;
    dot += g[j] * p[j];
  }
  dot = warp_reduce(dot, Sum());
#pragma unroll
  for (int j = 0; j < Values; ++j) {
    const int c = lane_of_warp() + 32 * j;
    if (c < channels) dx[o + c] = T(p[j] * (g[j] - dot));
  }
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    softmax_backward_block(T* dx, const T* dy, const T* y, int64_t channels) {
  const int64_t o = int64_t(blockIdx.x) * channels;
  float dot = 0;
  for (int64_t c = threadIdx.x; c < channels; c += kBlock) dot += float(dy[o + c]) * float(y[o + c]);
  dot = block_reduce(dot, Sum());
  for (int64_t c = threadIdx.x; c < channels; c += kBlock)
    dx[o + c] = T(float(y[o + c]) * (float(dy[o + c]) - dot));
}

// Writes loss, the mean of row_loss (rows), by one block. Thread t adds every 256th row from t on;
// block_reduce then adds the threads in a fixed order.
__global__ void __launch_bounds__(kBlock) mean_loss(float* loss, const float* row_loss, int64_t rows) {
  float sum = 0;
  for (int64_t r = threadIdx.x; r < rows; r += kBlock) sum += row_loss[r];
  sum = block_reduce(sum, Sum());
  if (threadIdx.x == 0) loss[0] = sum / float(rows);
}

// Calls f with the number of channels that a lane holds, as a constant.
template <class F>
void with_values(int64_t channels, F f) {
  if (channels <= 32) return f(std::integral_constant<int, 1>());
  if (channels <= 128) return f(std::integral_constant<int, 4>());
  if (channels <= 512) return f(std::integral_constant<int, 16>());
  f(std::integral_constant<int, 32>());
}

template <class T>
void launch_softmax(Cuda where, const char* name, T* y, const T* x, Target target, int64_t rows,
                    int64_t channels) {
  if (channels > kWarpChannels) {
    launch(where, name, softmax_block<T>, rows, kBlock, 0, y, x, target, channels);
    return;
  }
  with_values(channels, [&](auto values) {
    launch(where, name, softmax_warp<T, values()>, ceil_div(rows, kWarps), 32 * kWarps, 0, y, x, target, rows,
           int(channels));
  });
}

}  // namespace

template <class T>
void softmax_forward(Cuda where, T* y, const T* x, int64_t rows, int64_t channels) {
  launch_softmax<T>(where, "softmax", y, x, {}, rows, channels);
}
template <class T>
void softmax_backward(Cuda where, T* dx, const T* dy, const T* y, int64_t rows, int64_t channels) {
  if (channels > kWarpChannels) {
    launch(where, "softmax_backward", softmax_backward_block<T>, rows, kBlock, 0, dx, dy, y, channels);
    return;
  }
  with_values(channels, [&](auto values) {
    launch(where, "softmax_backward", softmax_backward_warp<T, values()>, ceil_div(rows, kWarps), 32 * kWarps,
           0, dx, dy, y, rows, int(channels));
  });
}
template <class T>
void cross_entropy_forward(Cuda where, Wide<T>* loss, T* probability, const T* logits, const int64_t* label,
                           int64_t rows, int64_t channels) {
  float* row_loss = static_cast<float*>(workspace(where, size_t(rows) * sizeof(float)));
  launch_softmax(where, "cross_entropy", probability, logits,
                 {label, row_loss, wrong_index(), "cross_entropy"}, rows, channels);
  launch(where, "cross_entropy mean", mean_loss, 1, kBlock, 0, loss, row_loss, rows);
}
template <class T>
void cross_entropy_backward(Cuda where, T* dlogits, const Wide<T>* dloss, const T* probability,
                            const int64_t* label, int64_t rows, int64_t channels) {
  const float share = 1 / float(rows);
  map_rows(
      where, "cross_entropy_backward", rows, channels,
      [=] __device__(int64_t r, int c, float p) {
        return dloss[0] * share * (p - (label[r] == c ? 1.0f : 0.0f));
      },
      dlogits, probability);
}

#define INSTANTIATE(T)                                                                                 \
  template void softmax_forward(Cuda, T*, const T*, int64_t, int64_t);                                 \
  template void softmax_backward(Cuda, T*, const T*, const T*, int64_t, int64_t);                      \
  template void cross_entropy_forward(Cuda, Wide<T>*, T*, const T*, const int64_t*, int64_t, int64_t); \
  template void cross_entropy_backward(Cuda, T*, const Wide<T>*, const T*, const int64_t*, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
