// Losses that end in one number, each in one pass forward and one pass backward. Sums run in a fixed order:
// in f64 on the CPU, in f32 on CUDA.
#pragma once
#include "kernels/device/device.h"
#include "kernels/device/philox.h"

namespace dae {

// Losses of one array x (n), the mean of f(x_i):
//   bce     f = softplus(x) - target x
//   hinge   f = max(0, 1 - target x)
// score_forward writes loss (1); score_backward writes dx (n) from dloss (1).
enum class Score { bce, hinge };
template <class T>
void score_forward(Cpu, Score f, T* loss, const T* x, int64_t n, double target);
template <class T>
void score_forward(Cuda, Score f, Wide<T>* loss, const T* x, int64_t n, double target);
template <class T>
void score_backward(Cpu, Score f, T* dx, const T* dloss, const T* x, int64_t n, double target);
template <class T>
void score_backward(Cuda, Score f, T* dx, const Wide<T>* dloss, const T* x, int64_t n, double target);

// Losses of two arrays a, b (n): the mean of (a_i - b_i)^2 (mse) or of |a_i - b_i| (l1). distance_forward
// writes loss (1); distance_backward writes da (n) from dloss (1), and db = -da.
enum class Distance { mse, l1 };
template <class T>
void distance_forward(Cpu, Distance f, T* loss, const T* a, const T* b, int64_t n);
template <class T>
void distance_forward(Cuda, Distance f, Wide<T>* loss, const T* a, const T* b, int64_t n);
template <class T>
void distance_backward(Cpu, Distance f, T* da, const T* dloss, const T* a, const T* b, int64_t n);
template <class T>
void distance_backward(Cuda, Distance f, T* da, const Wide<T>* dloss, const T* a, const T* b, int64_t n);

// Draws from a diagonal Gaussian (Kingma & Welling 2014), over n elements of `images` images:
//   z  = mu + e^(logvar / 2) eps
//   kl = KL(N(mu, e^logvar) || N(0, I)) / images = 1/2 sum(mu^2 + e^logvar - 1 - logvar) / images
// Writes z (n) and kl (1). If eps (n) is null, element i is the normal of (key, i), and the backward pass
// draws it again.
template <class T>
void sample_normal_forward(Cpu, T* z, T* kl, const T* mu, const T* logvar, const T* eps, Key key, int64_t n,
                           int64_t images);
template <class T>
void sample_normal_forward(Cuda, T* z, Wide<T>* kl, const T* mu, const T* logvar, const T* eps, Key key,
                           int64_t n, int64_t images);
// Writes dmu and dlogvar (n). dz (n) and dkl (1) may be null, which means zero.
template <class T>
void sample_normal_backward(Cpu, T* dmu, T* dlogvar, const T* dz, const T* dkl, const T* mu, const T* logvar,
                            const T* eps, Key key, int64_t n, int64_t images);
template <class T>
void sample_normal_backward(Cuda, T* dmu, T* dlogvar, const T* dz, const Wide<T>* dkl, const T* mu,
                            const T* logvar, const T* eps, Key key, int64_t n, int64_t images);

}  // namespace dae
