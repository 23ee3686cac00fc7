// Random fills and dropout over the Philox stream of `key`; element i depends on (key, i) alone.
//   normal:  y[i] ~ N(0, 1)            uniform: y[i] ~ U(low, high)            y (n)
//   dropout: y[i] = u_m < p ? 0 : x[i] / (1 - p), u_m uniform; x, y (images, positions, channels)
// with m = i, or m = image * channels + channel. The backward is the same map on dy. Doubles get the float
// draw converted, so that runs of both types see the same noise.
#pragma once
#include "kernels/device.h"
#include "kernels/philox.h"

void set_clock(Cuda, uint32_t* clock, uint32_t step);  // the memory that Key::clock points to

template <class T>
void normal_fill(Cpu, T* y, int64_t n, Key key);
template <class T>
void normal_fill(Cuda, T* y, int64_t n, Key key);
template <class T>
void uniform_fill(Cpu, T* y, int64_t n, double low, double high, Key key);
template <class T>
void uniform_fill(Cuda, T* y, int64_t n, double low, double high, Key key);
template <class T>
void dropout(Cpu, T* y, const T* x, int64_t n, double p, Key key);
template <class T>
void dropout(Cuda, T* y, const T* x, int64_t n, double p, Key key);
template <class T>
void channel_dropout(Cpu, T* y, const T* x, int64_t images, int64_t positions, int64_t channels, double p,
                     Key key);
template <class T>
void channel_dropout(Cuda, T* y, const T* x, int64_t images, int64_t positions, int64_t channels, double p,
                     Key key);
