// Random fills and dropout, with the random numbers of the Philox stream `key` (philox.h). Element i depends
// on (key, i) only.
//   normal_fill       y[i] ~ N(0, 1)         y (n)
//   uniform_fill      y[i] ~ U(low, high)    y (n)
//   dropout           y[i] = u[m] < p ? 0 : x[i] / (1 - p)    x, y (n), m = i
//   channel_dropout   the same formula, x, y (images, positions, channels), m = image * channels + channel
// u[m] is uniform in (0, 1). The backward applies the same function to dy with the same key. A double is the
// converted float draw, so that runs in both types use the same noise.
#pragma once
#include "kernels/device/device.h"
#include "kernels/device/philox.h"

namespace dae {

// Writes `step` to the device memory that Key::clock points to.
void set_clock(Cuda, uint32_t* clock, uint32_t step);

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

}  // namespace dae
