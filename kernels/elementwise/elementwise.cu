// Elementwise kernels, y = f(x, ...), and their gradients; elementwise.h gives the formulas and shapes.
//   map (map.cuh)                for arrays (n): a thread handles 16 bytes of each.
//   map_rows (map.cuh)           for arrays (rows, channels) with a bias per channel or a gate per image: no
//                              index is divided by `channels`.
//   map_column_sums (ordered_sums.cuh)   for the backward of gate_add: one pass computes dx and the partial sums of
//                              dgate over the positions of an image.
// The kernels are bound by memory and move 2 n to 4 n elements. Not measured on a GPU yet.
#include "kernels/cuda/ordered_sums.cuh"
#include "kernels/elementwise/elementwise.h"

namespace dae {

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

template <class T>
struct GateGradient {
  const T* gate;
  int channels;
  struct Column {
    float gate;
    __device__ float value(float dy, float) const { return dy * gate; }
    __device__ Sums<1> sums(int64_t, float dy, float x) const { return {{dy * x}}; }
  };
  __device__ Column at(int64_t image, int c) const { return {float(gate[image * channels + c])}; }
};

}  // namespace

template <class T>
void gate_add_backward(Cuda where, T* dgate, T* dx, const T* dy, const T* gate, const T* x, int64_t images,
                       int64_t positions, int64_t channels) {
  const ColumnTiles t = sum_tiles<T>(images, positions, channels);
  float* parts = static_cast<float*>(workspace(where, size_t(images * t.chunks * channels) * sizeof(float)));
  map_column_sums<1>(where, "gate_add_backward", t, images, positions, channels,
                     GateGradient<T>{gate, int(channels)}, dx, parts, dy, x);
  sum_image_parts<1>(where, "gate_add_backward", parts, images, t.chunks, channels,
                     [=] __device__(int64_t i, const Sums<1>& sum) { dgate[i] = T(sum.v[0]); });
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
  template void gate_add_forward(Cuda, T*, const T*, const T*, const T*, int64_t, int64_t, int64_t); \
  template void gate_add_backward(Cuda, T*, T*, const T*, const T*, const T*, int64_t, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
