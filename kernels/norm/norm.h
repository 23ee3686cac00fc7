// Normalisation with a fused activation f:
//   y = f(xhat weight + bias), xhat = (x - mean) rstd, rstd = 1 / sqrt(var + eps)
// x, y, dy, dx are (images, positions, channels). The statistics are over:
//   batch norm   images and positions: one pair for each channel
//   group norm   positions and the channels of a group: one pair for each image and group
//   layer norm   channels: one pair for each row. It is group norm with one group and one position.
//   modulated    as layer norm, with weight = 1 + scale and bias = shift of each image (adaLN of DiT, Peebles
//                & Xie 2022)
// The backward passes keep only x and the statistics and compute xhat again. Sums run in a fixed order. The
// CPU adds up to 16 terms in T and these partial sums in f64.
#pragma once
#include "kernels/activation/act.h"
#include "kernels/device/device.h"

namespace dae {

struct NormShape {
  int64_t images, positions, channels, groups;
};

// Writes mean and var (biased) over the rows, each (channels).
template <class T>
void batch_statistics(Cpu, T* mean, T* var, const T* x, int64_t rows, int64_t channels);
template <class T>
void batch_statistics(Cuda, Wide<T>* mean, Wide<T>* var, const T* x, int64_t rows, int64_t channels);
// Sets running = (1 - momentum) running + momentum batch, with the unbiased variance of the batch.
template <class T>
void update_running(Cpu, T* running_mean, T* running_var, const T* mean, const T* var, int64_t rows,
                    int64_t channels, double momentum);
void update_running(Cuda, float* running_mean, float* running_var, const float* mean, const float* var,
                    int64_t rows, int64_t channels, double momentum);
// Writes y (rows, channels). mean and var (channels) are those of the batch or the running ones.
template <class T>
void batch_norm_forward(Cpu, T* y, const T* x, const T* mean, const T* var, const T* weight, const T* bias,
                        int64_t rows, int64_t channels, double eps, Act act);
template <class T>
void batch_norm_forward(Cuda, T* y, const T* x, const Wide<T>* mean, const Wide<T>* var,
                        const Wide<T>* weight, const Wide<T>* bias, int64_t rows, int64_t channels,
                        double eps, Act act);
// Writes dx (rows, channels), dweight and dbias (channels). With `training`, mean and var depend on x. dx may
// be null, and so may dweight and dbias together.
template <class T>
void batch_norm_backward(Cpu, T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* mean,
                         const T* var, const T* weight, const T* bias, int64_t rows, int64_t channels,
                         double eps, Act act, bool training);
template <class T>
void batch_norm_backward(Cuda, T* dx, Wide<T>* dweight, Wide<T>* dbias, const T* dy, const T* x,
                         const Wide<T>* mean, const Wide<T>* var, const Wide<T>* weight, const Wide<T>* bias,
                         int64_t rows, int64_t channels, double eps, Act act, bool training);

// Writes y, and mean and rstd (images, groups). weight and bias (channels) may be null together.
template <class T>
void group_norm_forward(Cpu, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, NormShape s,
                        double eps, Act act);
template <class T>
void group_norm_forward(Cuda, T* y, Wide<T>* mean, Wide<T>* rstd, const T* x, const Wide<T>* weight,
                        const Wide<T>* bias, NormShape s, double eps, Act act);
// Writes dx, dweight and dbias. dx may be null, and so may dweight and dbias together.
template <class T>
void group_norm_backward(Cpu, T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* mean,
                         const T* rstd, const T* weight, const T* bias, NormShape s, Act act);
template <class T>
void group_norm_backward(Cuda, T* dx, Wide<T>* dweight, Wide<T>* dbias, const T* dy, const T* x,
                         const Wide<T>* mean, const Wide<T>* rstd, const Wide<T>* weight, const Wide<T>* bias,
                         NormShape s, Act act);

// Computes group norm with one group and one position on the CPU, which runs it there (layer_norm.cpp). mean
// and rstd are (rows).
template <class T>
void layer_norm_forward(Cpu, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, int64_t rows,
                        int64_t channels, double eps);
template <class T>
void layer_norm_backward(Cpu, T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* mean,
                         const T* rstd, const T* weight, int64_t rows, int64_t channels);

// Writes y, and mean and rstd (images, positions). shift and scale are (images, channels). s.groups is not
// read.
template <class T>
void modulated_norm_forward(Cpu, T* y, T* mean, T* rstd, const T* x, const T* shift, const T* scale,
                            NormShape s, double eps);
template <class T>
void modulated_norm_forward(Cuda, T* y, Wide<T>* mean, Wide<T>* rstd, const T* x, const T* shift,
                            const T* scale, NormShape s, double eps);
// Writes dx, dshift and dscale. dx may be null, and so may dshift and dscale together.
template <class T>
void modulated_norm_backward(Cpu, T* dx, T* dshift, T* dscale, const T* dy, const T* x, const T* mean,
                             const T* rstd, const T* scale, NormShape s);
template <class T>
void modulated_norm_backward(Cuda, T* dx, T* dshift, T* dscale, const T* dy, const T* x, const Wide<T>* mean,
                             const Wide<T>* rstd, const T* scale, NormShape s);

}  // namespace dae
