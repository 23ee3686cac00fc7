// Elementwise kernels, y = f(x, ...), and their gradients; formulas and shapes in elementwise.h.
//   map        arrays (n): a thread takes 16 bytes of each.
//   map_rows   arrays (rows, channels) with something per channel or image: no index is divided by
//   `channels`. per_image  the gradients that sum over an image's positions: a block takes 32 packs of
//   channels of one
//              image, its 8 rows of threads every eighth position; their 8 partial sums are added in order.
// Bound by memory: 2 n to 4 n elements are moved. Not measured on a GPU yet.
#include "kernels/elementwise.h"
#include "kernels/map.h"

template <class T>
void binary_forward(Cuda where, Binary op, T* y, const T* a, const T* b, int64_t n) {
  switch (op) {
    case Binary::add:
      return map(
          where, "add", n, [] __device__(float a, float b) { return a + b; }, y, a, b);
    case Binary::sub:
      return map(
          where, "sub", n, [] __device__(float a, float b) { return a - b; }, y, a, b);
    case Binary::mul:
      return map(
          where, "mul", n, [] __device__(float a, float b) { return a * b; }, y, a, b);
    case Binary::div:
      return map(
          where, "div", n, [] __device__(float a, float b) { return a / b; }, y, a, b);
  }
}

template <class T>
void binary_backward(Cuda where, Binary op, T* da, T* db, const T* dy, const T* a, const T* b, int64_t n) {
  const auto same = [] __device__(float g) { return g; };
  const auto negative = [] __device__(float g) { return -g; };
  const auto times = [] __device__(float g, float x) { return g * x; };
  switch (op) {
    case Binary::add:
    case Binary::sub:
      if (da) map(where, "add_backward", n, same, da, dy);
      if (db && op == Binary::add) map(where, "add_backward", n, same, db, dy);
      if (db && op == Binary::sub) map(where, "sub_backward", n, negative, db, dy);
      return;
    case Binary::mul:
      if (da) map(where, "mul_backward", n, times, da, dy, b);
      if (db) map(where, "mul_backward", n, times, db, dy, a);
      return;
    case Binary::div:
      if (da)
        map(
            where, "div_backward", n, [] __device__(float g, float b) { return g / b; }, da, dy, b);
      if (db)
        map(
            where, "div_backward", n, [] __device__(float g, float a, float b) { return -g * a / (b * b); },
            db, dy, a, b);
      return;
  }
}

template <class T>
void unary_forward(Cuda where, Unary op, T* y, const T* x, int64_t n) {
  switch (op) {
    case Unary::square:
      return map(
          where, "square", n, [] __device__(float x) { return x * x; }, y, x);
    case Unary::sqrt:
      return map(
          where, "sqrt", n, [] __device__(float x) { return sqrtf(x); }, y, x);
    case Unary::exp:
      return map(
          where, "exp", n, [] __device__(float x) { return expf(x); }, y, x);
    case Unary::log:
      return map(
          where, "log", n, [] __device__(float x) { return logf(x); }, y, x);
    case Unary::abs:
      return map(
          where, "abs", n, [] __device__(float x) { return fabsf(x); }, y, x);
  }
}

template <class T>
void unary_backward(Cuda where, Unary op, T* dx, const T* dy, const T* kept, int64_t n) {
  switch (op) {
    case Unary::square:
      return map(
          where, "square_backward", n, [] __device__(float g, float x) { return 2 * x * g; }, dx, dy, kept);
    case Unary::sqrt:
      return map(
          where, "sqrt_backward", n, [] __device__(float g, float y) { return g / (2 * y); }, dx, dy, kept);
    case Unary::exp:
      return map(
          where, "exp_backward", n, [] __device__(float g, float y) { return g * y; }, dx, dy, kept);
    case Unary::log:
      return map(
          where, "log_backward", n, [] __device__(float g, float x) { return g / x; }, dx, dy, kept);
    case Unary::abs:
      return map(
          where, "abs_backward", n, [] __device__(float g, float x) { return g * float((x > 0) - (x < 0)); },
          dx, dy, kept);
  }
}

template <class T>
void affine(Cuda where, T* y, const T* x, double factor, double offset, int64_t n) {
  const float f = float(factor), o = float(offset);
  map(
      where, "affine", n, [=] __device__(float x) { return f * x + o; }, y, x);
}
template <class T>
void scale_by(Cuda where, T* y, const T* x, const Wide<T>* s, int64_t n) {
  map(
      where, "scale_by", n, [=] __device__(float x) { return s[0] * x; }, y, x);
}
template <class T>
void clamp_forward(Cuda where, T* y, const T* x, double low, double high, int64_t n) {
  const float l = float(low), h = float(high);
  map(
      where, "clamp", n, [=] __device__(float x) { return x < l ? l : (x > h ? h : x); }, y, x);
}
template <class T>
void clamp_backward(Cuda where, T* dx, const T* dy, const T* x, double low, double high, int64_t n) {
  const float l = float(low), h = float(high);
  map(
      where, "clamp_backward", n, [=] __device__(float g, float x) { return x < l || x > h ? 0.0f : g; }, dx,
      dy, x);
}

template <class T>
void add_bias(Cuda where, T* y, const T* x, const Wide<T>* bias, int64_t rows, int64_t channels) {
  map_rows(
      where, "add_bias", rows, channels, [=] __device__(int64_t, int c, float x) { return x + bias[c]; }, y,
      x);
}

template <class T>
void modulate_forward(Cuda where, T* y, const T* x, const T* shift, const T* scale, int64_t images,
                      int64_t positions, int64_t channels) {
  const int p = int(positions), width = int(channels);
  map_rows(
      where, "modulate", images * positions, channels,
      [=] __device__(int64_t r, int c, float x) {
        const int64_t s = int64_t(uint32_t(r) / uint32_t(p)) * width + c;
        return x * (1 + float(scale[s])) + float(shift[s]);
      },
      y, x);
}

template <class T>
void gate_add_forward(Cuda where, T* y, const T* residual, const T* gate, const T* x, int64_t images,
                      int64_t positions, int64_t channels) {
  const int p = int(positions), width = int(channels);
  map_rows(
      where, "gate_add", images * positions, channels,
      [=] __device__(int64_t r, int c, float residual, float x) {
        return residual + float(gate[int64_t(uint32_t(r) / uint32_t(p)) * width + c]) * x;
      },
      y, residual, x);
}

namespace {

constexpr int kRows = 8;

// dx = dy (one + factor);  dfactor = sum over positions of dy x;  dshift, unless null, that of dy.
template <class T>
__global__ void __launch_bounds__(32 * kRows)
    per_image_backward(T* dx, T* dfactor, T* dshift, const T* dy, const T* x, const T* factor, float one,
                       int positions, int channels, bool aligned) {
  constexpr int kSize = Pack<T>::size;
  SHARED(float, products, 32 * kRows * kSize);
  SHARED(float, gradients, 32 * kRows * kSize);
  const int c = int(blockIdx.y * 32 + threadIdx.x) * kSize, size = min(kSize, channels - c);
  const int64_t image = blockIdx.x, s = image * channels + c;
  float f[kSize], product[kSize] = {}, gradient[kSize] = {};
#pragma unroll
  for (int e = 0; e < kSize; ++e) f[e] = e < size ? one + float(factor[s + e]) : 0.0f;
  for (int p = int(threadIdx.y); p < positions; p += kRows) {
    const int64_t o = (image * positions + p) * channels + c;
    if (aligned && size > 0) {
      const Pack<T> g = load16(dy + o), v = load16(x + o);
      Pack<T> out;
#pragma unroll
      for (int e = 0; e < kSize; ++e) {
        out.v[e] = T(float(g.v[e]) * f[e]);
        product[e] += float(g.v[e]) * float(v.v[e]);
        gradient[e] += float(g.v[e]);
      }
      store16(dx + o, out);
    } else {
#pragma unroll
      for (int e = 0; e < kSize; ++e) {
        if (e >= size) continue;
        const float g = float(dy[o + e]);
        product[e] += g * float(x[o + e]);
        gradient[e] += g;
        dx[o + e] = T(g * f[e]);
      }
    }
  }
  const int mine = int(threadIdx.x) * kSize;
#pragma unroll
  for (int e = 0; e < kSize; ++e) {
    products[int(threadIdx.y) * 32 * kSize + mine + e] = product[e];
    gradients[int(threadIdx.y) * 32 * kSize + mine + e] = gradient[e];
  }
  __syncthreads();
  if (threadIdx.y > 0) return;
  for (int e = 0; e < size; ++e) {
    float of_x = 0, of_one = 0;
    for (int r = 0; r < kRows; ++r) {
      of_x += products[r * 32 * kSize + mine + e];
      of_one += gradients[r * 32 * kSize + mine + e];
    }
    dfactor[s + e] = T(of_x);
    if (dshift) dshift[s + e] = T(of_one);
  }
}

template <class T>
void launch_per_image(Cuda where, const char* name, T* dx, T* dfactor, T* dshift, const T* dy, const T* x,
                      const T* factor, float one, int64_t images, int64_t positions, int64_t channels) {
  const bool aligned = channels % Pack<T>::size == 0 && on_16_bytes(dx) && on_16_bytes(dy) && on_16_bytes(x);
  launch(where, name, per_image_backward<T>, Grid(images, ceil_div(channels, 32 * Pack<T>::size)),
         dim3(32, kRows), 0, dx, dfactor, dshift, dy, x, factor, one, int(positions), int(channels), aligned);
}

}  // namespace

template <class T>
void modulate_backward(Cuda where, T* dx, T* dshift, T* dscale, const T* dy, const T* x, const T* scale,
                       int64_t images, int64_t positions, int64_t channels) {
  launch_per_image(where, "modulate_backward", dx, dscale, dshift, dy, x, scale, 1.0f, images, positions,
                   channels);
}
template <class T>
void gate_add_backward(Cuda where, T* dgate, T* dx, const T* dy, const T* gate, const T* x, int64_t images,
                       int64_t positions, int64_t channels) {
  launch_per_image<T>(where, "gate_add_backward", dx, dgate, nullptr, dy, x, gate, 0.0f, images, positions,
                      channels);
}

#define INSTANTIATE(T)                                                                               \
  template void binary_forward(Cuda, Binary, T*, const T*, const T*, int64_t);                       \
  template void binary_backward(Cuda, Binary, T*, T*, const T*, const T*, const T*, int64_t);        \
  template void unary_forward(Cuda, Unary, T*, const T*, int64_t);                                   \
  template void unary_backward(Cuda, Unary, T*, const T*, const T*, int64_t);                        \
  template void affine(Cuda, T*, const T*, double, double, int64_t);                                 \
  template void scale_by(Cuda, T*, const T*, const Wide<T>*, int64_t);                               \
  template void clamp_forward(Cuda, T*, const T*, double, double, int64_t);                          \
  template void clamp_backward(Cuda, T*, const T*, const T*, double, double, int64_t);               \
  template void add_bias(Cuda, T*, const T*, const Wide<T>*, int64_t, int64_t);                      \
  template void modulate_forward(Cuda, T*, const T*, const T*, const T*, int64_t, int64_t, int64_t); \
  template void modulate_backward(Cuda, T*, T*, T*, const T*, const T*, const T*, int64_t, int64_t,  \
                                  int64_t);                                                          \
  template void gate_add_forward(Cuda, T*, const T*, const T*, const T*, int64_t, int64_t, int64_t); \
  template void gate_add_backward(Cuda, T*, T*, const T*, const T*, const T*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)
