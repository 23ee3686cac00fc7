// Implicit matrix multiplication: blocks of output pixels gather their receptive fields into a small matrix
// (one row a pixel) that is multiplied by the weights. Tasks are cut by shape, each sum is made by one task
// in one order.
#include "kernels/conv/conv.h"

#include <algorithm>

#include "kernels/matmul/gemm.h"
#include "kernels/parallel.h"
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

// y[p, o] = sum over taps of columns[source pixel of (p, tap), at(tap) + o * step], for the output pixels of
// one image: the second half of a convolution whose products were made for every source pixel and tap at
// once.
template <class T, class At, class To>
void sum_taps(const T* columns, int64_t width, const Window& s, int64_t channels, int64_t step, At&& at,
              To&& to) {
  for (int64_t i = 0; i < s.rows; ++i)
    for (int64_t j = 0; j < s.columns; ++j) {
      T* out = to(i, j);
      std::fill_n(out, channels, T(0));
      for (int64_t u = 0; u < s.taps_y; ++u)
        for (int64_t v = 0; v < s.taps_x; ++v) {
          const int64_t y = i * s.stride + s.offset_y + u, x = j * s.stride + s.offset_x + v;
          if (y < 0 || y >= s.h || x < 0 || x >= s.w) continue;
          const T* from = columns + (y * s.w + x) * width + at(u, v);
          for (int64_t o = 0; o < channels; ++o) out[o] += from[o * step];
        }
    }
}

// With so few output channels the vector registers would be mostly empty: products for all taps, then
// sum_taps.
constexpr int64_t kFewChannels = 8;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How a product of gathered rows (pixels, taps * c) with weights is cut: into tasks of `pixels` by `channels`
// (more pixels amortise the packing of the weights, channels are cut where the pixels are few), each of which
// gathers `taps` taps at a time so that the rows stay in the second-level cache.
struct Cut {
  Cut(int64_t all_pixels, int64_t c, int64_t all_taps, int64_t outputs) : channels(outputs) {
    const int64_t blocks = std::max<int64_t>(divide_up(all_pixels, 256), 1);
    pixels = std::max<int64_t>(divide_up(all_pixels, blocks), 1);
    while (divide_up(all_pixels, pixels) * divide_up(outputs, channels) < 8 && channels >= 256) channels /= 2;
    taps = std::clamp<int64_t>((1 << 18) / (pixels * c), 1, std::max<int64_t>(all_taps, 1));
    across = divide_up(outputs, channels);
    tasks = divide_up(all_pixels, pixels) * across;
  }
  int64_t channels, pixels = 0, taps = 0, across = 0, tasks = 0;
};

}  // namespace

template <class T>
void conv_forward(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape s) {
  const Window window{s.h, s.w, s.ci, s.kh, s.kw, s.stride, -s.pad_top, -s.pad_left, s.oh(), s.ow()};
  const int64_t depth = window.depth(), taps = s.kh * s.kw, pixels = s.n * s.oh() * s.ow();
  if (s.co <= kFewChannels && taps > 1 && s.ci > kFewChannels) {
    parallel_for(s.n, 1, [&](int64_t n, int64_t) {
      thread_local Scratch<T> scratch;
      const int64_t width = s.co * taps;
      T* columns = scratch.get(s.h * s.w * width);
      gemm(columns, width, x + n * s.h * s.w * s.ci, s.ci, weight, s.ci, s.h * s.w, width, s.ci, false, true);
      sum_taps(
          columns, width, window, s.co, taps, [&](int64_t u, int64_t v) { return u * s.kw + v; },
          [&](int64_t i, int64_t j) { return y + ((n * s.oh() + i) * s.ow() + j) * s.co; });
      if (bias)
        for (int64_t i = n * s.oh() * s.ow(); i < (n + 1) * s.oh() * s.ow(); ++i)
          for (int64_t o = 0; o < s.co; ++o) y[i * s.co + o] += bias[o];
    });
    return;
  }
  thread_local Scratch<T> transposed;
  T* packed = transposed.get(depth * s.co);
  transpose(packed, weight, s.co, depth);
  const Cut cut(pixels, s.ci, taps, s.co);
  parallel_for(cut.tasks, 1, [&](int64_t task, int64_t) {
    const int64_t begin = task / cut.across * cut.pixels, end = std::min(pixels, begin + cut.pixels);
    const int64_t o = task % cut.across * cut.channels, channels = std::min(cut.channels, s.co - o);
    T* out = y + begin * s.co + o;
    if (bias)
      for (int64_t i = 0; i < end - begin; ++i) std::copy(bias + o, bias + o + channels, out + i * s.co);
    thread_local Scratch<T> scratch;
    T* rows = scratch.get(cut.pixels * cut.taps * s.ci);
    for (int64_t tap = 0; tap < taps; tap += cut.taps) {
      const int64_t last = std::min(taps, tap + cut.taps), width = (last - tap) * s.ci;
      gather(rows, x, window, begin, end, tap, last);
      gemm(out, s.co, rows, width, packed + tap * s.ci * s.co + o, s.co, end - begin, channels, width, false,
           false, bias || tap > 0);
    }
  });
}

// The input pixels whose row and column have the same remainder by the stride meet the same taps: of each
// such class the gradient is a convolution of stride 1 over dy with those taps in reverse order.
struct Parity {
  Parity(const ConvShape& s, int64_t iy, int64_t ix)
      : iy(iy), ix(ix), u0((iy + s.pad_top) % s.stride), v0((ix + s.pad_left) % s.stride), stride(s.stride) {
    const int64_t taps_y = u0 < s.kh ? (s.kh - 1 - u0) / s.stride + 1 : 0;
    const int64_t taps_x = v0 < s.kw ? (s.kw - 1 - v0) / s.stride + 1 : 0;
    window = {s.oh(),
              s.ow(),
              s.co,
              taps_y,
              taps_x,
              1,
              (iy + s.pad_top) / s.stride - taps_y + 1,
              (ix + s.pad_left) / s.stride - taps_x + 1,
              (s.h - 1 - iy) / s.stride + 1,
              (s.w - 1 - ix) / s.stride + 1};
    taps = taps_y * taps_x;
  }
  // The kernel's row and column of the window's tap (a, b).
  int64_t u(int64_t a) const { return u0 + stride * (window.taps_y - 1 - a); }
  int64_t v(int64_t b) const { return v0 + stride * (window.taps_x - 1 - b); }

  int64_t iy, ix, u0, v0, stride, taps = 0;
  Window window{};
};

template <class T>
void conv_backward_input(Cpu, T* dx, const T* dy, const T* weight, ConvShape s) {
  const int64_t classes_y = std::min(s.stride, s.h), classes_x = std::min(s.stride, s.w);
  const int64_t kernel = s.kh * s.kw, depth = kernel * s.ci;
  if (s.ci <= kFewChannels && kernel > 1 && s.co > kFewChannels) {
    parallel_for(s.n, 1, [&](int64_t n, int64_t) {
      thread_local Scratch<T> scratch;
      const int64_t pixels = s.oh() * s.ow();
      T* columns = scratch.get(pixels * depth);
      gemm(columns, depth, dy + n * pixels * s.co, s.co, weight, depth, pixels, depth, s.co, false, false);
      for (int64_t c = 0; c < classes_y * classes_x; ++c) {
        const Parity parity(s, c / classes_x, c % classes_x);
        sum_taps(
            columns, depth, parity.window, s.ci, 1,
            [&](int64_t a, int64_t b) { return (parity.u(a) * s.kw + parity.v(b)) * s.ci; },
            [&](int64_t i, int64_t j) {
              return dx + ((n * s.h + parity.iy + i * s.stride) * s.w + parity.ix + j * s.stride) * s.ci;
            });
      }
    });
    return;
  }

  // Of each class the weights (taps reversed, co, ci), one class after another.
  thread_local Scratch<T> class_weights;
  T* packed = class_weights.get(kernel * s.co * s.ci);
  const Cut cut(s.n * divide_up(s.h, s.stride) * divide_up(s.w, s.stride), s.co,
                divide_up(s.kh, s.stride) * divide_up(s.kw, s.stride), s.ci);
  int64_t first_tap = 0;
  for (int64_t c = 0; c < classes_y * classes_x; ++c) {
    const Parity parity(s, c / classes_x, c % classes_x);
    const Window& window = parity.window;
    T* class_weight = packed + first_tap * s.co * s.ci;
    first_tap += parity.taps;
    parallel_for(parity.taps * s.co, 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t tap = row / s.co, u = parity.u(tap / window.taps_x), v = parity.v(tap % window.taps_x);
        const T* from = weight + ((row % s.co * s.kh + u) * s.kw + v) * s.ci;
        std::copy(from, from + s.ci, class_weight + row * s.ci);
      }
    });
  }
  parallel_for(classes_y * classes_x * cut.tasks, 1, [&](int64_t task, int64_t) {
    const int64_t c = task / cut.tasks;
    int64_t before = 0;
    for (int64_t other = 0; other < c; ++other)
      before += Parity(s, other / classes_x, other % classes_x).taps;
    const Parity parity(s, c / classes_x, c % classes_x);
    const Window& window = parity.window;
    const int64_t pixels = s.n * window.rows * window.columns;
    const int64_t begin = task % cut.tasks / cut.across * cut.pixels,
                  end = std::min(pixels, begin + cut.pixels);
    const int64_t first = task % cut.across * cut.channels, channels = std::min(cut.channels, s.ci - first);
    if (begin >= end) return;
    thread_local Scratch<T> scratch;
    T* rows = scratch.get(cut.pixels * (cut.taps * s.co + cut.channels));
    T* result = rows + cut.pixels * cut.taps * s.co;
    if (parity.taps == 0) std::fill_n(result, (end - begin) * channels, T(0));
    for (int64_t tap = 0; tap < parity.taps; tap += cut.taps) {
      const int64_t last = std::min(parity.taps, tap + cut.taps), width = (last - tap) * s.co;
      gather(rows, dy, window, begin, end, tap, last);
      gemm(result, channels, rows, width, packed + (before + tap) * s.co * s.ci + first, s.ci, end - begin,
           channels, width, false, false, tap > 0);
    }
    for (int64_t pixel = begin; pixel < end; ++pixel, result += channels) {
      const int64_t j = pixel % window.columns, i = pixel / window.columns % window.rows;
      const int64_t n = pixel / (window.columns * window.rows);
      T* to = dx + ((n * s.h + parity.iy + i * s.stride) * s.w + parity.ix + j * s.stride) * s.ci + first;
      std::copy(result, result + channels, to);
    }
  });
}

template <class T>
void conv_backward_weight(Cpu, T* dw, const T* dy, const T* x, ConvShape s) {
  const Window window{s.h, s.w, s.ci, s.kh, s.kw, s.stride, -s.pad_top, -s.pad_left, s.oh(), s.ow()};
  const int64_t depth = window.depth(), pixels = s.n * s.oh() * s.ow(), taps = s.kh * s.kw;
  const int64_t taps_block = std::clamp<int64_t>(96 / s.ci, 1, taps), across = divide_up(taps, taps_block);
  int64_t co_block = std::min<int64_t>(s.co, 256);
  while (divide_up(s.co, co_block) * across < 4 && co_block >= 64) co_block /= 2;
  parallel_for(divide_up(s.co, co_block) * across, 1, [&](int64_t task, int64_t) {
    const int64_t tap = task % across * taps_block, last = std::min(taps, tap + taps_block);
    const int64_t o = task / across * co_block, width = (last - tap) * s.ci;
    const int64_t grain = std::clamp<int64_t>((1 << 18) / width, 48, 1024);
    thread_local Scratch<T> scratch;
    T* rows = scratch.get(grain * width);
    int64_t begin = 0;
    do {  // once even for an empty batch, whose gradient is zero
      const int64_t end = std::min(pixels, begin + grain);
      gather(rows, x, window, begin, end, tap, last);
      gemm(dw + o * depth + tap * s.ci, depth, dy + begin * s.co + o, s.co, rows, width,
           std::min(co_block, s.co - o), width, end - begin, true, false, begin > 0);
    } while ((begin += grain) < pixels);
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
