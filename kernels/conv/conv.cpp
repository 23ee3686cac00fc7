// Implicit matrix multiplication: blocks of output pixels gather their receptive fields into a small matrix
// (one row a pixel) that is multiplied by the weights. Tasks are cut by shape, each sum is made by one task
// in one order.
#include "kernels/conv/conv.h"

#include <algorithm>

#include "kernels/matmul/gemm.h"
#include "kernels/scratch.h"

namespace {

// A sliding window over images (n, h, w, c): output (i, j) sees the taps_y x taps_x source pixels that begin
// at (i*stride + offset_y, j*stride + offset_x).
struct Window {
  int64_t h, w, c, taps_y, taps_x, stride, offset_y, offset_x, rows, columns;  // rows, columns of the output
  int64_t depth() const { return taps_y * taps_x * c; }
};

// out (end - begin, last - first, c): taps [first, last) of output pixels [begin, end), counted over the
// batch.
template <class T>
void gather(T* out, const T* image, const Window& s, int64_t begin, int64_t end, int64_t first,
            int64_t last) {
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    const int64_t x0 = pixel % s.columns * s.stride + s.offset_x;
    const int64_t y0 = pixel / s.columns % s.rows * s.stride + s.offset_y;
    const T* from = image + pixel / (s.columns * s.rows) * s.h * s.w * s.c;
    for (int64_t u = first / s.taps_x; u * s.taps_x < last; ++u) {
      const int64_t a = std::max(first - u * s.taps_x, int64_t{0}),
                    b = std::min(last - u * s.taps_x, s.taps_x);
      const int64_t y = y0 + u;
      const bool inside = y >= 0 && y < s.h;
      const int64_t lo = inside ? std::clamp(-x0, a, b) : b, hi = inside ? std::clamp(s.w - x0, lo, b) : b;
      const T* row = from + (y * s.w + x0) * s.c;
      out = std::fill_n(out, (lo - a) * s.c, T(0));
      for (int64_t e = lo * s.c; e < hi * s.c; ++e) *out++ = row[e];
      out = std::fill_n(out, (b - hi) * s.c, T(0));
    }
  }
}

// Pixels a task takes: the gathered matrix should stay in the second-level cache.
int64_t pixels_per_task(int64_t depth) { return std::clamp<int64_t>((1 << 18) / depth / 24 * 24, 48, 960); }

}  // namespace

template <class T>
void conv_forward(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape s) {
  const Window window{s.h, s.w, s.ci, s.kh, s.kw, s.stride, -s.pad_top, -s.pad_left, s.oh(), s.ow()};
  const int64_t depth = window.depth();
  parallel_for(s.n * s.oh() * s.ow(), pixels_per_task(depth), [&](int64_t begin, int64_t end) {
    thread_local Scratch<T> scratch;
    T* rows = scratch.get((end - begin) * depth);
    gather(rows, x, window, begin, end, 0, s.kh * s.kw);
    T* out = y + begin * s.co;
    if (bias)
      for (int64_t i = 0; i < end - begin; ++i) std::copy(bias, bias + s.co, out + i * s.co);
    gemm(out, s.co, rows, depth, weight, depth, end - begin, s.co, depth, false, true, bias ? 1 : 0);
  });
}

// The input pixels whose row and column have the same remainder by the stride meet the same taps: of each
// such class the gradient is a convolution of stride 1 over dy with those taps in reverse order.
template <class T>
void conv_backward_input(Cpu, T* dx, const T* dy, const T* weight, ConvShape s) {
  thread_local Scratch<T> class_weight;
  for (int64_t iy = 0; iy < std::min(s.stride, s.h); ++iy)
    for (int64_t ix = 0; ix < std::min(s.stride, s.w); ++ix) {
      const int64_t u0 = (iy + s.pad_top) % s.stride, v0 = (ix + s.pad_left) % s.stride;
      const int64_t taps_y = u0 < s.kh ? (s.kh - 1 - u0) / s.stride + 1 : 0;
      const int64_t taps_x = v0 < s.kw ? (s.kw - 1 - v0) / s.stride + 1 : 0;
      const int64_t rows = (s.h - 1 - iy) / s.stride + 1, columns = (s.w - 1 - ix) / s.stride + 1;
      const Window window{s.oh(),
                          s.ow(),
                          s.co,
                          taps_y,
                          taps_x,
                          1,
                          (iy + s.pad_top) / s.stride - taps_y + 1,
                          (ix + s.pad_left) / s.stride - taps_x + 1,
                          rows,
                          columns};
      const int64_t taps = taps_y * taps_x, depth = window.depth();

      T* packed = class_weight.get(depth * s.ci);  // (taps of the class reversed, co, ci)
      parallel_for(taps * s.co, 64, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          const int64_t tap = row / s.co, o = row % s.co;
          const int64_t u = u0 + s.stride * (taps_y - 1 - tap / taps_x);
          const int64_t v = v0 + s.stride * (taps_x - 1 - tap % taps_x);
          const T* from = weight + ((o * s.kh + u) * s.kw + v) * s.ci;
          std::copy(from, from + s.ci, packed + row * s.ci);
        }
      });

      parallel_for(s.n * rows * columns, pixels_per_task(depth + s.ci), [&](int64_t begin, int64_t end) {
        thread_local Scratch<T> scratch;
        T* gathered = scratch.get((end - begin) * (depth + s.ci));
        T* result = gathered + (end - begin) * depth;
        if (taps > 0) gather(gathered, dy, window, begin, end, 0, taps);
        gemm(result, s.ci, gathered, depth, packed, s.ci, end - begin, s.ci, depth, false, false);
        for (int64_t pixel = begin; pixel < end; ++pixel, result += s.ci) {
          const int64_t j = pixel % columns, i = pixel / columns % rows, n = pixel / (columns * rows);
          T* to = dx + ((n * s.h + iy + i * s.stride) * s.w + ix + j * s.stride) * s.ci;
          std::copy(result, result + s.ci, to);
        }
      });
    }
}

template <class T>
void conv_backward_weight(Cpu, T* dw, const T* dy, const T* x, ConvShape s) {
  const Window window{s.h, s.w, s.ci, s.kh, s.kw, s.stride, -s.pad_top, -s.pad_left, s.oh(), s.ow()};
  const int64_t depth = window.depth(), pixels = s.n * s.oh() * s.ow(), taps = s.kh * s.kw;
  const int64_t taps_block = std::clamp<int64_t>(96 / s.ci, 1, taps), co_block = std::min<int64_t>(s.co, 256);
  const int64_t across = (taps + taps_block - 1) / taps_block, down = (s.co + co_block - 1) / co_block;
  parallel_for(down * across, 1, [&](int64_t task, int64_t) {
    const int64_t tap = task % across * taps_block, last = std::min(taps, tap + taps_block);
    const int64_t o = task / across * co_block, width = (last - tap) * s.ci;
    const int64_t grain = pixels_per_task(width);
    thread_local Scratch<T> scratch;
    T* rows = scratch.get(grain * width);
    for (int64_t begin = 0; begin < pixels; begin += grain) {
      const int64_t end = std::min(pixels, begin + grain);
      gather(rows, x, window, begin, end, tap, last);
      gemm(dw + o * depth + tap * s.ci, depth, dy + begin * s.co + o, s.co, rows, width,
           std::min(co_block, s.co - o), width, end - begin, true, false, begin > 0);
    }
  });
}

template <class T>
void conv_backward_bias(Cpu, T* db, const T* dy, int64_t rows, int64_t channels) {
  parallel_for(channels, 64, [&](int64_t begin, int64_t end) {
    double sum[64] = {};
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t c = begin; c < end; ++c) sum[c - begin] += dy[i * channels + c];
    for (int64_t c = begin; c < end; ++c) db[c] = static_cast<T>(sum[c - begin]);
  });
}

#define INSTANTIATE(T)                                                          \
  template void conv_forward(Cpu, T*, const T*, const T*, const T*, ConvShape); \
  template void conv_backward_input(Cpu, T*, const T*, const T*, ConvShape);    \
  template void conv_backward_weight(Cpu, T*, const T*, const T*, ConvShape);   \
  template void conv_backward_bias(Cpu, T*, const T*, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)
