// Normalisation: y = f(xhat w + b), xhat = (x - mean) rstd, rstd = 1/sqrt(var + eps), with an activation f
// fused. x, y, dy, dx: (images, positions, channels); statistics over
//   batch norm: images and positions, one pair a channel;
//   group norm: positions and the channels of a group, one pair an (image, group);
//   layer norm: channels, one pair a row: group norm with one group and one position.
//   modulated: layer norm with w = 1 + scale and b = shift of each image (adaLN of DiT, Peebles & Xie 2022).
// Backward recomputes xhat from x: nothing but x and the statistics is kept. Sums run in a fixed order, on
// the CPU in f64 but for the first 8 to 16 terms, which are added in T.
#pragma once
#include "kernels/act.h"
#include "kernels/device.h"

struct NormShape {
  int64_t images, positions, channels, groups;
};

// mean and var (biased) over rows, each (channels).
template <class T>
void batch_statistics(Cpu, T* mean, T* var, const T* x, int64_t rows, int64_t channels);
template <class T>
void batch_statistics(Cuda, Wide<T>* mean, Wide<T>* var, const T* x, int64_t rows, int64_t channels);
// running = (1 - momentum) running + momentum * batch; the variance made unbiased.
template <class T>
void update_running(Cpu, T* running_mean, T* running_var, const T* mean, const T* var, int64_t rows,
                    int64_t channels, double momentum);
void update_running(Cuda, float* running_mean, float* running_var, const float* mean, const float* var,
                    int64_t rows, int64_t channels, double momentum);
// mean, var: (channels), of the batch or running.
template <class T>
void batch_norm_forward(Cpu, T* y, const T* x, const T* mean, const T* var, const T* weight, const T* bias,
                        int64_t rows, int64_t channels, double eps, Act act);
template <class T>
void batch_norm_forward(Cuda, T* y, const T* x, const Wide<T>* mean, const Wide<T>* var,
                        const Wide<T>* weight, const Wide<T>* bias, int64_t rows, int64_t channels,
                        double eps, Act act);
// training: mean and var depend on x. dx may be null, and so may dweight and dbias together.
template <class T>
void batch_norm_backward(Cpu, T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* mean,
                         const T* var, const T* weight, const T* bias, int64_t rows, int64_t channels,
                         double eps, Act act, bool training);
template <class T>
void batch_norm_backward(Cuda, T* dx, Wide<T>* dweight, Wide<T>* dbias, const T* dy, const T* x,
                         const Wide<T>* mean, const Wide<T>* var, const Wide<T>* weight, const Wide<T>* bias,
                         int64_t rows, int64_t channels, double eps, Act act, bool training);

// mean, rstd: (images, groups). weight and bias (channels), or both null.
template <class T>
void group_norm_forward(Cpu, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, NormShape s,
                        double eps, Act act);
template <class T>
void group_norm_forward(Cuda, T* y, Wide<T>* mean, Wide<T>* rstd, const T* x, const Wide<T>* weight,
                        const Wide<T>* bias, NormShape s, double eps, Act act);
template <class T>
void group_norm_backward(Cpu, T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* mean,
                         const T* rstd, const T* weight, const T* bias, NormShape s, Act act);
template <class T>
void group_norm_backward(Cuda, T* dx, Wide<T>* dweight, Wide<T>* dbias, const T* dy, const T* x,
                         const Wide<T>* mean, const Wide<T>* rstd, const Wide<T>* weight, const Wide<T>* bias,
                         NormShape s, Act act);

// Group norm of one group and one position, the Cpu's way to it (layer_norm.cpp). mean, rstd: (rows).
template <class T>
void layer_norm_forward(Cpu, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, int64_t rows,
                        int64_t channels, double eps);
template <class T>
void layer_norm_backward(Cpu, T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* mean,
                         const T* rstd, const T* weight, int64_t rows, int64_t channels);

// mean, rstd (images positions); shift, scale (images, channels); s.groups is not read.
template <class T>
void modulated_norm_forward(Cpu, T* y, T* mean, T* rstd, const T* x, const T* shift, const T* scale,
                            NormShape s, double eps);
template <class T>
void modulated_norm_forward(Cuda, T* y, Wide<T>* mean, Wide<T>* rstd, const T* x, const T* shift,
                            const T* scale, NormShape s, double eps);
// dx may be null, and so may dshift and dscale together.
template <class T>
void modulated_norm_backward(Cpu, T* dx, T* dshift, T* dscale, const T* dy, const T* x, const T* mean,
                             const T* rstd, const T* scale, NormShape s);
template <class T>
void modulated_norm_backward(Cuda, T* dx, T* dshift, T* dscale, const T* dy, const T* x, const Wide<T>* mean,
                             const Wide<T>* rstd, const T* scale, NormShape s);
