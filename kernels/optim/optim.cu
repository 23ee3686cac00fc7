// One update of Adam or AdamW and of the moving average over the flat blocks of a group, in one pass; optim.h
// gives the formulas and shapes. A thread block handles 1024 elements of one parameter, and a thread handles
// four neighbouring elements: 16 bytes of each array. Each block finds its parameter by bisection of a table
// that is an argument of the launch. The kernel is bound by memory: 28 bytes for each element, 8 more with
// the average, 2 more with the 16-bit copy. Not measured on a GPU yet.
#include <cmath>

#include "kernels/cuda/map.cuh"
#include "kernels/optim/optim.h"

namespace dae {

namespace {

constexpr int kThreads = 256, kEach = 4, kSegments = 104;  // arguments of 4096 bytes at most

template <class T>
struct Table {
  AdamSegment<T> of[kSegments];
  int32_t first_block[kSegments];
  int32_t count;
};

// Divides the segments into tables and calls launch_one(table, blocks) for each, with its number of blocks.
template <class T, class F>
void each_table(std::span<const AdamSegment<T>> segments, F launch_one) {
  Table<T> table{};
  int64_t blocks = 0;
  const auto flush = [&] {
    if (table.count) launch_one(table, blocks);
    table.count = 0, blocks = 0;
  };
  for (const AdamSegment<T>& s : segments) {
    if (table.count == kSegments) flush();
    table.of[table.count] = s;
    table.first_block[table.count++] = int32_t(blocks);
    blocks += ceil_div(s.size, kThreads * kEach);
  }
  flush();
}

// Calls f(segment, i, count) with the thread's elements [i, i + count) of its segment, if it has any.
template <class T, class F>
__device__ inline void with_elements(const Table<T>& table, F f) {
  int low = 0, high = table.count;  // first_block[low] <= the block < first_block[high]
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (table.first_block[middle] <= int(blockIdx.x)) low = middle;
    else high = middle;
  }
  const AdamSegment<T>& s = table.of[low];
  const int64_t i = (int64_t(int(blockIdx.x) - table.first_block[low]) * kThreads + threadIdx.x) * kEach;
  if (i < s.size) f(s, i, int(min(int64_t(kEach), s.size - i)));
}

// The constants of a group, rounded from double to float on the host: b1, b2, 1 - b1, 1 - b2, eps, the weight
// decay that is added to the gradient (l2), d and 1 - d of the average.
struct Decay {
  float b1, b2, c1, c2, eps, l2, keep, blend;
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    adamw_kernel(float* p, float* m, float* v, float* ema, const __grid_constant__ Table<T> table,
                 const AdamState* state, Decay h) {
  if (state->skip) return;
  const float rate = state->rate, root = state->root, shrink = state->shrink, unscale = state->unscale;
  with_elements(table, [&](const AdamSegment<T>& s, int64_t i, int count) {
    const bool whole = count == kEach && reinterpret_cast<uintptr_t>(s.gradient) % 16 == 0;
    const int64_t at = s.begin + i;  // parameters begin on 16-byte boundaries of the blocks
    const Pack<float> g = load_part(s.gradient + i, count, whole);
    Pack<float> pp = load_part(p + at, count, whole), mm = load_part(m + at, count, whole),
                vv = load_part(v + at, count, whole);
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const float gi = unscale * g.v[e] + h.l2 * pp.v[e];
      mm.v[e] = h.b1 * mm.v[e] + h.c1 * gi;
      vv.v[e] = h.b2 * vv.v[e] + h.c2 * gi * gi;
      pp.v[e] = pp.v[e] * shrink - rate * mm.v[e] / (sqrtf(vv.v[e]) * root + h.eps);
    }
    store_part(p + at, pp, count, whole);
    store_part(m + at, mm, count, whole);
    store_part(v + at, vv, count, whole);
    if (s.low)
#pragma unroll
      for (int e = 0; e < kEach; ++e)
        if (e < count) s.low[i + e] = T(pp.v[e]);
    if (!ema) return;
    Pack<float> average = load_part(ema + at, count, whole);
#pragma unroll
    for (int e = 0; e < kEach; ++e) average.v[e] = h.keep * average.v[e] + h.blend * pp.v[e];
    store_part(ema + at, average, count, whole);
  });
}

__global__ void __launch_bounds__(kThreads)
    overflow_kernel(AdamControl* control, const __grid_constant__ Table<float> table) {
  with_elements(table, [&](const AdamSegment<float>& s, int64_t i, int count) {
    for (int e = 0; e < count; ++e)
      if (!(fabsf(s.gradient[i + e]) <= 3.4028235e38f)) control->overflow = 1;  // every thread writes 1
  });
}

__global__ void set_rate_kernel(AdamControl* control, double lr_factor) { control->lr_factor = lr_factor; }

// Returns b^n, n >= 0, by multiplications only, so that the bits are the same on every device.
__device__ inline double power(double b, int64_t n) {
  double y = 1;
  for (; n > 0; n /= 2, b *= b)
    if (n % 2) y *= b;
  return y;
}

__global__ void begin_kernel(AdamState* state, const AdamControl* control, const float* scale,
                             const float* gate, double lr, double beta1, double beta2, double weight_decay) {
  state->skip = control->overflow || (gate && *gate == 0);
  if (state->skip) return;
  const int64_t step = ++state->step;
  const double rate = lr * control->lr_factor;
  state->rate = float(rate / (1 - power(beta1, step)));
  state->root = float(1 / sqrt(1 - power(beta2, step)));
  state->shrink = float(1 - rate * weight_decay);
  state->unscale = scale ? 1 / *scale : 1.0f;
}

template <class T>
void update(Cuda where, float* p, float* m, float* v, float* ema, std::span<const AdamSegment<T>> segments,
            const AdamState* state, const Decay& decay) {
  each_table(segments, [&](const Table<T>& table, int64_t blocks) {
    launch(where, "adamw", adamw_kernel<T>, blocks, kThreads, 0, p, m, v, ema, table, state, decay);
  });
}

// Halves or doubles the scale, within 1 and 2^24. Factors of 2 add no rounding errors, and a larger scale has
// no benefit.
__global__ void adapt_kernel(AdamControl* control, float* scale, int32_t growth) {
  if (control->overflow) {
    *scale = fmaxf(1.0f, *scale / 2);
    control->good = control->overflow = 0;
  } else if (++control->good >= growth) {
    *scale = fminf(0x1p24f, *scale * 2);
    control->good = 0;
  }
}

}  // namespace

void adam_set_rate(Cuda where, AdamControl* control, double lr_factor) {
  launch(where, "adam_set_rate", set_rate_kernel, 1, 1, 0, control, lr_factor);
}
void adam_look_for_overflow(Cuda where, AdamControl* control, std::span<const AdamSegment<float>> segments) {
  each_table(segments, [&](const Table<float>& table, int64_t blocks) {
    launch(where, "adam_overflow", overflow_kernel, blocks, kThreads, 0, control, table);
  });
}
void adam_begin(Cuda where, AdamState* state, const AdamControl* control, const float* scale,
                const float* gate, const AdamStep& h) {
  launch(where, "adam_begin", begin_kernel, 1, 1, 0, state, control, scale, gate, h.lr, h.beta1, h.beta2,
         h.decoupled ? h.weight_decay : 0.0);
}
template <class T>
void adamw_step(Cuda where, float* p, float* m, float* v, float* ema,
                std::span<const AdamSegment<T>> segments, const AdamState* state, const AdamStep& h) {
  const Decay decay{float(h.beta1),     float(h.beta2),  float(1 - h.beta1),
                    float(1 - h.beta2), float(h.eps),    float(h.decoupled ? 0 : h.weight_decay),
                    float(h.ema),       float(1 - h.ema)};
  update(where, p, m, v, ema, segments, state, decay);
}
void adam_adapt_scale(Cuda where, AdamControl* control, float* scale, int64_t growth) {
  launch(where, "adam_adapt_scale", adapt_kernel, 1, 1, 0, control, scale, int32_t(growth));
}

#define INSTANTIATE(T)                                                                            \
  template void adamw_step(Cuda, float*, float*, float*, float*, std::span<const AdamSegment<T>>, \
                           const AdamState*, const AdamStep&);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
