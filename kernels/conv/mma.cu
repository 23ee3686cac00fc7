// The three convolutions of conv.h as products (kernels/matmul/mma_tile.cuh) of matrices that are gathered while
// they are loaded, so that no matrix of patches is ever written. P = n oh ow is the number of output pixels:
//   forward           y (P, co) = patches of x (P, kh kw ci) w^T (kh kw ci, co) + bias
//   backward_input    for each class of pixels (stride_phases.h):
//                     dx (pixels, ci) = patches of dy (pixels, taps co) w (taps co, ci)
//   backward_weight   dw (co, kh kw ci) = dy^T (co, P) patches of x (P, kh kw ci)
//                     The sum over pixels is cut into parts that fill the device; their f32 results are added
//                     in order.
// bf16 and f16 run on tensor cores of sm_80, f32 by multiply-adds. 2 P co kh kw ci FLOPs each; x, dy and w
// are read from memory or cache once for every 128 rows (or columns) of the result. If the channels are not a
// multiple of 16 bytes, as in 3-channel layers, elements are gathered one by one. Not measured on a GPU yet.
#include "kernels/conv/stride_phases.h"
#include "kernels/conv/variants.h"
#include "kernels/cuda/map.cuh"
#include "kernels/matmul/mma_tile.cuh"

namespace dae {

namespace {

// A source (mma_tile.cuh): the patches of images (n, h, w, c), one a row. Output pixel (i, j) sees taps_y x taps_x
// source pixels that begin at (i stride + offset_y, j stride + offset_x). A column is (tap, channel).
template <class T>
struct Patches {
  using Type = T;
  struct Row {
    const T* image;  // null past the last pixel
    int y, x;
  };
  struct Column {
    int u, v, c;
  };
  const T* data;
  int h, w, c, taps_y, taps_x, stride, offset_y, offset_x, out_rows, out_columns, pixels;
  bool aligned;

  __device__ Row row(int pixel) const {
    const int line = pixel / out_columns, n = line / out_rows;
    return {pixel < pixels ? data + int64_t(n) * h * w * c : nullptr,
            (line - n * out_rows) * stride + offset_y, (pixel - line * out_columns) * stride + offset_x};
  }
  __device__ Column column(int at) const {
    const int tap = at / c, u = tap / taps_x;
    return {u, tap - u * taps_x, at - tap * c};
  }
  __device__ const T* at(Row r, Column k) const {
    const int y = r.y + k.u, x = r.x + k.v;
    const bool inside = r.image && k.u < taps_y && unsigned(y) < unsigned(h) && unsigned(x) < unsigned(w);
    return inside ? r.image + (int64_t(y) * w + x) * c + k.c : nullptr;
  }
};

template <class T>
bool is_aligned(const T* p, int64_t channels) {
  return on_16_bytes(p) && channels % Pack<T>::size == 0;
}

template <class T>
Patches<T> patches_of_input(const T* x, const ConvShape& s) {
  return {x,
          int(s.h),
          int(s.w),
          int(s.ci),
          int(s.kh),
          int(s.kw),
          int(s.stride),
          int(-s.pad_top),
          int(-s.pad_left),
          int(s.oh()),
          int(s.ow()),
          int(s.n * s.oh() * s.ow()),
          is_aligned(x, s.ci)};
}

// The sources and the result of one product, for all but BackwardInput.
template <class A, class B, class Y>
struct ConvItem {
  A a;
  B b;
  Y* y;
  int m, n, begin, end;
  bool aligned;
  float beta = 0;
  const float* bias = nullptr;
  __device__ Y* row(int r) const { return y + int64_t(r) * n; }
};

template <class T>
struct Forward {
  using Type = T;
  static constexpr Major kAMajor = Major::k, kBMajor = Major::k;
  ConvItem<Patches<T>, StoredMatrix<T>, T> only;
  int items, m, n;
  __device__ auto item(int) const { return only; }
};

template <class T>
struct BackwardWeight {
  using Type = T;
  static constexpr Major kAMajor = Major::mn, kBMajor = Major::mn;
  ConvItem<StoredMatrix<T>, Patches<T>, float> part;
  int items, m, n, depth;
  __device__ auto item(int z) const {
    auto mine = part;
    mine.y += int64_t(z) * m * n;
    mine.begin = z * depth, mine.end = min(part.end, mine.begin + depth);
    return mine;
  }
};

// A source (mma_tile.cuh): the weights (co, kh, kw, ci) that a class of input pixels meets, last tap first. A row is
// (tap, o).
template <class T>
struct ClassWeights {
  using Type = T;
  using Row = const T*;
  using Column = int;
  const T* data;
  int co, ci, kh, kw;
  ClassTaps y, x;
  bool aligned;
  __device__ Row row(int r) const {
    const int tap = r / co, o = r - tap * co, a = tap / x.count, b = tap - a * x.count;
    if (a >= y.count) return nullptr;
    const int u = y.first + a * y.next, v = x.first + b * x.next;
    return data + (int64_t(o * kh + u) * kw + v) * ci;
  }
  __device__ Column column(int c) const { return c; }
  __device__ const T* at(Row r, Column c) const { return r && c < ci ? r + c : nullptr; }
};

template <class T>
struct BackwardInput {
  using Type = T;
  static constexpr Major kAMajor = Major::k, kBMajor = Major::mn;
  struct Item {
    Patches<T> a;
    ClassWeights<T> b;
    T* y;  // the class's first pixel
    int m, n, begin, end, w, h, stride;
    bool aligned;
    float beta = 0;
    const float* bias = nullptr;
    __device__ T* row(int r) const {
      const int line = r / a.out_columns, image = line / a.out_rows;
      return y + ((int64_t(image) * h + (line - image * a.out_rows) * stride) * w +
                  (r - line * a.out_columns) * stride) *
                     n;
    }
  };
  T* dx;
  const T *dy, *weight;
  int images, h, w, ci, co, kh, kw, stride, pad_top, pad_left, oh, ow;
  bool dx_aligned, dy_aligned, weight_aligned;
  int items, m, n, classes_x;

  __device__ Item item(int z) const {
    const int iy = z / classes_x, ix = z - iy * classes_x;
    const ClassTaps y = class_taps(iy, kh, stride, pad_top), x = class_taps(ix, kw, stride, pad_left);
    const int rows = class_pixels(iy, h, stride), columns = class_pixels(ix, w, stride);
    const int pixels = images * rows * columns;
    return {{dy, oh, ow, co, y.count, x.count, 1, y.offset, x.offset, rows, columns, pixels, dy_aligned},
            {weight, co, ci, kh, kw, y, x, weight_aligned},
            dx + (int64_t(iy) * w + ix) * ci,
            pixels,
            ci,
            0,
            y.count * x.count * co,
            w,
            h,
            stride,
            dx_aligned};
  }
};

}  // namespace

template <class T>
void conv_forward_mma(Cuda where, T* y, const T* x, const T* weight, const Wide<T>* bias, ConvShape s) {
  const int pixels = int(s.n * s.oh() * s.ow()), depth = int(s.kh * s.kw * s.ci), co = int(s.co);
  multiply_tiles(where, "conv_forward_mma",
                 Forward<T>{{patches_of_input(x, s),
                             {weight, co, depth, is_aligned(weight, depth)},
                             y,
                             pixels,
                             co,
                             0,
                             depth,
                             is_aligned(y, co),
                             0,
                             bias},
                            1,
                            pixels,
                            co});
}

template <class T>
void conv_backward_input_mma(Cuda where, T* dx, const T* dy, const T* weight, ConvShape s) {
  const int64_t classes_y = std::min(s.stride, s.h), classes_x = std::min(s.stride, s.w);
  multiply_tiles(where, "conv_backward_input_mma",
                 BackwardInput<T>{dx,
                                  dy,
                                  weight,
                                  int(s.n),
                                  int(s.h),
                                  int(s.w),
                                  int(s.ci),
                                  int(s.co),
                                  int(s.kh),
                                  int(s.kw),
                                  int(s.stride),
                                  int(s.pad_top),
                                  int(s.pad_left),
                                  int(s.oh()),
                                  int(s.ow()),
                                  is_aligned(dx, s.ci),
                                  is_aligned(dy, s.co),
                                  is_aligned(weight, s.ci),
                                  int(classes_y * classes_x),
                                  int(s.n * ceil_div(s.h, s.stride) * ceil_div(s.w, s.stride)),
                                  int(s.ci),
                                  int(classes_x)});
}

template <class T>
void conv_backward_weight_mma(Cuda where, Wide<T>* dw, const T* dy, const T* x, ConvShape s) {
  const int pixels = int(s.n * s.oh() * s.ow()), co = int(s.co), width = int(s.kh * s.kw * s.ci);
  const Splits splits(1, co, width, pixels);
  in_splits(where, dw, int64_t(co) * width, splits.count, 0, [&](float* to, float) {
    multiply_tiles(where, "conv_backward_weight_mma",
                   BackwardWeight<T>{{{dy, pixels, co, is_aligned(dy, co)},
                                      patches_of_input(x, s),
                                      to,
                                      co,
                                      width,
                                      0,
                                      pixels,
                                      is_aligned(to, width)},
                                     splits.count,
                                     co,
                                     width,
                                     splits.depth});
  });
}

#define INSTANTIATE(T)                                                                   \
  template void conv_forward_mma(Cuda, T*, const T*, const T*, const float*, ConvShape); \
  template void conv_backward_input_mma(Cuda, T*, const T*, const T*, ConvShape);        \
  template void conv_backward_weight_mma(Cuda, float*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(f16)

}  // namespace dae
