// The three convolutions of conv.h on Hopper, bf16 and f16, as products (kernels/matmul/wgmma_tile.cuh) whose tiles
// TMA reads from the images. A tile is a box of pixels for one tap: a 4-D map over (n, h, w, c) at shifted
// coordinates, where TMA fills positions outside the image with the zeros of the padding.
//   forward           y (pixels, co) = sum over taps of x (pixels, ci) w[tap] (co, ci)^T
//                     The map steps along h and w by the stride.
//   backward_input    for each class of input pixels (stride_phases.h):
//                     dx (pixels, ci) = sum over taps of dy (pixels, co) w[tap] (co, ci)
//   backward_weight   dw[tap] (co, ci) = dy^T (co, pixels) x (pixels, ci)
//                     The boxes of pixels are cut into parts that fill the device; their f32 results are
//                     added in order.
// 2 n oh ow co kh kw ci FLOPs each. A box holds 64 channels, so fewer channels leave part of each tile empty.
// TMA needs images and weights on 16-byte boundaries, channels in multiples of 8 and strides up to 8. Not
// measured on a GPU yet.
#include "kernels/conv/stride_phases.h"
#include "kernels/conv/variants.h"
#include "kernels/cuda/map.cuh"
#include "kernels/matmul/wgmma_tile.cuh"

namespace dae {

namespace {

// Divides pixels (images, rows, columns) into boxes whose sides are powers of two.
struct Boxes {
  struct Pixel {
    int n, y, x;
  };
  int n, h, w, down, across, count;  // sides of a box; boxes along h and w, and in all

  __device__ Pixel first(int box) const {
    const int line = box / across, image = line / down;
    return {image * n, (line - image * down) * h, (box - line * across) * w};
  }
  __device__ Pixel within(int pixel) const {  // relative to the first pixel of the box
    const int line = pixel / w;
    return {line / h, line % h, pixel % w};
  }
};

// Returns the division into the fewest boxes of `pixels` pixels. Along h and w, a box of x spans stride times
// its side, which may be 256 at most.
Boxes boxes_over(int64_t images, int64_t rows, int64_t columns, int pixels, int64_t stride) {
  Boxes best{};
  int64_t fewest = INT64_MAX;
  for (int w = 1; w <= pixels; w *= 2)
    for (int h = 1; w * h <= pixels; h *= 2) {
      const int n = pixels / (w * h);
      const int64_t down = ceil_div(rows, h), across = ceil_div(columns, w);
      const int64_t count = ceil_div(images, n) * down * across;
      if (count >= fewest || (std::max(w, h) - 1) * stride >= 256) continue;
      fewest = count;
      best = {n, h, w, int(down), int(across), int(count)};
    }
  return best;
}

template <class T>
TensorMap image_map(const T* x, int64_t n, int64_t h, int64_t w, int64_t c, const Boxes& b, int64_t stride) {
  const int step = int(stride);
  return tensor_map(
      x, sizeof(T), std::is_same_v<T, bf16>,
      TensorBox{4, {n, h, w, c}, {h * w * c, w * c, c, 1}, {b.n, b.h, b.w, 64}, {1, step, step, 1}},
      Swizzle::bytes128);
}

// The forward pass (kB = Major::k) and backward_input: a result (images, rows, columns, channels) from a
// source of c channels.
template <class T, Major kB>
struct FromImages {
  using Type = T;
  static constexpr Major kAMajor = Major::k, kBMajor = kB;
  static constexpr bool kForward = kB == Major::k;
  struct Part {
    T* y;
    Boxes boxes;
    Boxes::Pixel first;
    ClassTaps taps_y, taps_x;
    int images, rows, columns, step, class_y, class_x, column, n, steps;
    bool aligned;
    const float* bias;
    float beta = 0;
    __device__ T* row(int r) const {
      const Boxes::Pixel p = boxes.within(r);
      const int image = first.n + p.n, i = (first.y + p.y) * step + class_y,
                j = (first.x + p.x) * step + class_x;
      if (image >= images || i >= rows || j >= columns) return nullptr;
      return y + ((int64_t(image) * rows + i) * columns + j) * n;
    }
  };
  TensorMap source, weight;
  T* y;
  const float* bias;
  Boxes boxes;
  int images, rows, columns, channels, c, kh, kw, pad_top, pad_left;
  int step, stride;  // between neighbours of a class: in the result, and in the source
  int classes_x, classes, tiles_n;
  bool aligned;

  HOST_DEVICE int units() const { return classes * boxes.count * tiles_n; }
  __device__ int chunks() const { return (c + kWgmmaDepth - 1) / kWgmmaDepth; }
  __device__ Part part(int unit) const {
    const int z = unit / (boxes.count * tiles_n), class_y = z / classes_x, class_x = z - class_y * classes_x;
    const TileAt at = tile_at(unit - z * boxes.count * tiles_n, boxes.count, tiles_n);
    const ClassTaps ty = kForward ? ClassTaps{kh, -pad_top, 0, 1} : class_taps(class_y, kh, step, pad_top);
    const ClassTaps tx = kForward ? ClassTaps{kw, -pad_left, 0, 1} : class_taps(class_x, kw, step, pad_left);
    return {y,
            boxes,
            boxes.first(at.row / kTile),
            ty,
            tx,
            images,
            rows,
            columns,
            step,
            class_y,
            class_x,
            at.column,
            channels,
            ty.count * tx.count * chunks(),
            aligned,
            bias};
  }
  __device__ void load(Shared<T> a, Shared<T> b, Shared<Mbarrier> full, const Part& p, int at) const {
    const int tap = at / chunks(), k = (at - tap * chunks()) * kWgmmaDepth;
    const int i = tap / p.taps_x.count, j = tap - i * p.taps_x.count;
    tma_load(a, source, full, p.first.n, p.first.y * stride + p.taps_y.offset + i,
             p.first.x * stride + p.taps_x.offset + j, k);
    const int of_weight = (p.taps_y.first + i * p.taps_y.next) * kw + p.taps_x.first + j * p.taps_x.next;
    if constexpr (kForward) {
      tma_load(b, weight, full, p.column, of_weight, k);
    } else {
      tma_load(b.slice(0, kWgmmaStage / 2), weight, full, k, of_weight, p.column);
      tma_load(b.slice(kWgmmaStage / 2, kWgmmaStage / 2), weight, full, k, of_weight, p.column + 64);
    }
  }
  __device__ void write(const Part& p, int r, int c, const float* v) const {
    if (p.column + c < p.n && p.row(r)) write_row(p, r, p.column + c, v, 8);
  }
};

template <class T>
struct WeightGradient {
  using Type = T;
  static constexpr Major kAMajor = Major::mn, kBMajor = Major::mn;
  struct Part {  // channels first to first + 127 of dy, column to column + 127 of x, for one tap
    float* y;
    int first, m, pitch, column, n, tap_y, tap_x, begin, steps;
    bool aligned;
    float beta = 0;
    const float* bias = nullptr;
    __device__ float* row(int r) const { return first + r < m ? y + int64_t(first + r) * pitch : nullptr; }
  };
  TensorMap dy, x;
  float* dw;
  Boxes boxes;
  int co, ci, kh, kw, stride, pad_top, pad_left, splits, depth;  // depth: the boxes of a split
  int tiles_m, tiles_n;
  bool aligned;

  HOST_DEVICE int units() const { return splits * kh * kw * tiles_m * tiles_n; }
  __device__ Part part(int unit) const {
    const int z = unit / (tiles_m * tiles_n), split = z / (kh * kw), tap = z - split * kh * kw;
    const TileAt at = tile_at(unit - z * tiles_m * tiles_n, tiles_m, tiles_n);
    const int begin = split * depth, pitch = kh * kw * ci;
    return {dw + int64_t(split) * co * pitch + tap * ci,
            at.row,
            co,
            pitch,
            at.column,
            ci,
            tap / kw,
            tap % kw,
            begin,
            min(boxes.count, begin + depth) - begin,
            aligned};
  }
  __device__ void load(Shared<T> a, Shared<T> b, Shared<Mbarrier> full, const Part& p, int step) const {
    const Boxes::Pixel at = boxes.first(p.begin + step);
    const int i = at.y * stride - pad_top + p.tap_y, j = at.x * stride - pad_left + p.tap_x;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int begin = half * (kWgmmaStage / 2);
      tma_load(a.slice(begin, kWgmmaStage / 2), dy, full, at.n, at.y, at.x, p.first + 64 * half);
      tma_load(b.slice(begin, kWgmmaStage / 2), x, full, at.n, i, j, p.column + 64 * half);
    }
  }
  __device__ void write(const Part& p, int r, int c, const float* v) const {
    if (p.column + c < p.n && p.row(r)) write_row(p, r, p.column + c, v, 8);
  }
};

template <class T>
bool is_aligned(const T* y, int64_t channels) {
  return on_16_bytes(y) && channels % Pack<T>::size == 0;
}

template <Major kB, class T>
void convolve(Cuda where, const char* name, T* y, const T* source, const T* weight, const float* bias,
              const ConvShape& s) {
  constexpr bool kForward = kB == Major::k;
  const int64_t step = kForward ? 1 : s.stride, stride = kForward ? s.stride : 1;
  const int64_t rows = kForward ? s.oh() : s.h, columns = kForward ? s.ow() : s.w;
  const int64_t channels = kForward ? s.co : s.ci, c = kForward ? s.ci : s.co;
  const int64_t classes_y = std::min(step, rows), classes_x = std::min(step, columns);
  const Boxes boxes = boxes_over(s.n, ceil_div(rows, step), ceil_div(columns, step), kTile, stride);
  multiply_tiles_wgmma(where, name,
                       FromImages<T, kB>{kForward ? image_map(source, s.n, s.h, s.w, c, boxes, stride)
                                                  : image_map(source, s.n, s.oh(), s.ow(), c, boxes, stride),
                                         tensor_map(weight, {s.co, s.kh * s.kw, s.ci},
                                                    {kForward ? kTile : kWgmmaDepth, 1, 64}),
                                         y,
                                         bias,
                                         boxes,
                                         int(s.n),
                                         int(rows),
                                         int(columns),
                                         int(channels),
                                         int(c),
                                         int(s.kh),
                                         int(s.kw),
                                         int(s.pad_top),
                                         int(s.pad_left),
                                         int(step),
                                         int(stride),
                                         int(classes_x),
                                         int(classes_y * classes_x),
                                         int(ceil_div(channels, kTile)),
                                         is_aligned(y, channels)});
}

template <class T>
void weight_gradient(Cuda where, float* dw, const T* dy, const T* x, const ConvShape& s) {
  const Boxes boxes = boxes_over(s.n, s.oh(), s.ow(), kWgmmaDepth, s.stride);
  const int64_t tiles_m = ceil_div(s.co, kTile), tiles_n = ceil_div(s.ci, kTile), taps = s.kh * s.kw;
  const Splits splits(1, s.co, taps * tiles_n * kTile, int64_t(boxes.count) * kWgmmaDepth);
  in_splits(where, dw, s.co * taps * s.ci, splits.count, 0, [&](float* to, float) {
    multiply_tiles_wgmma(
        where, "conv_backward_weight_wgmma",
        WeightGradient<T>{image_map(dy, s.n, s.oh(), s.ow(), s.co, boxes, 1),
                          image_map(x, s.n, s.h, s.w, s.ci, boxes, s.stride), to, boxes, int(s.co), int(s.ci),
                          int(s.kh), int(s.kw), int(s.stride), int(s.pad_top), int(s.pad_left), splits.count,
                          splits.depth / kWgmmaDepth, int(tiles_m), int(tiles_n), is_aligned(to, s.ci)});
  });
}

}  // namespace

template <class T>
bool conv_wgmma_fits(Cuda where, const T* a, const T* b, const ConvShape& s) {
  return compute_capability(where) == 90 && s.n > 0 && on_16_bytes(a) && on_16_bytes(b) &&
         s.ci % Pack<T>::size == 0 && s.co % Pack<T>::size == 0 && s.stride <= 8;
}

template <class T>
void conv_forward_wgmma(Cuda where, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape s) {
  convolve<Major::k>(where, "conv_forward_wgmma", y, x, weight, bias, s);
}

template <class T>
void conv_backward_input_wgmma(Cuda where, T* dx, const T* dy, const T* weight, ConvShape s) {
  convolve<Major::mn>(where, "conv_backward_input_wgmma", dx, dy, weight, nullptr, s);
}

template <class T>
void conv_backward_weight_wgmma(Cuda where, Wide<T>* dw, const T* dy, const T* x, ConvShape s) {
  weight_gradient(where, dw, dy, x, s);
}

#define INSTANTIATE(T)                                                                     \
  template bool conv_wgmma_fits(Cuda, const T*, const T*, const ConvShape&);               \
  template void conv_forward_wgmma(Cuda, T*, const T*, const T*, const float*, ConvShape); \
  template void conv_backward_input_wgmma(Cuda, T*, const T*, const T*, ConvShape);        \
  template void conv_backward_weight_wgmma(Cuda, float*, const T*, const T*, ConvShape);
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
