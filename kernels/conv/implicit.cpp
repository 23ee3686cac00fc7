// The convolutions of conv.h as implicit matrix products. A row of the left matrix is what one output pixel
// sees. If a tap has enough channels, it is read from where it lies in the image, through a pointer for each
// (pixel, tap); otherwise it is first gathered into a small matrix. The task that uses the weights packs
// them, a panel at a time, so that large weights are read from memory once. The shape alone decides the
// tasks, and one task makes each sum in one order.
#include <algorithm>

#include "kernels/conv/conv.h"
#include "kernels/conv/stride_phases.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/matmul/gemm.h"
#include "kernels/matmul/simd_tile.h"

namespace dae {

namespace {

// A sliding window over images (n, h, w, c). Output (i, j) sees the taps_y x taps_x source pixels that begin
// at (i stride + offset_y, j stride + offset_x).
struct Window {
  int64_t h, w, c, taps_y, taps_x, stride, offset_y, offset_x, rows, columns;  // rows, columns of the output
  int64_t taps() const { return taps_y * taps_x; }
};

// Counts over the output pixels of a window, through the whole batch.
struct Pixel {
  Pixel(const Window& s, int64_t index)
      : n(index / (s.rows * s.columns)), i(index / s.columns % s.rows), j(index % s.columns) {}
  void next(const Window& s) {
    if (++j < s.columns) return;
    j = 0;
    if (++i < s.rows) return;
    i = 0, ++n;
  }
  int64_t n, i, j;
};

// Writes rows (end - begin, last - first), `pitch` apart: the elements [first, last) of what each of the
// output pixels [begin, end) sees, which is (taps, c).
template <class T>
void gather(T* rows, int64_t pitch, const T* image, const Window& s, int64_t begin, int64_t end,
            int64_t first, int64_t last) {
  const int64_t run = s.taps_x * s.c;  // a row of taps is contiguous in the image
  Pixel p(s, begin);
  for (int64_t pixel = begin; pixel < end; ++pixel, p.next(s), rows += pitch) {
    T* out = rows;
    const int64_t x0 = p.j * s.stride + s.offset_x, y0 = p.i * s.stride + s.offset_y;
    const T* from = image + p.n * s.h * s.w * s.c;
    for (int64_t u = first / run; u * run < last; ++u) {
      const int64_t a = std::max(first - u * run, int64_t{0}), b = std::min(last - u * run, run), y = y0 + u;
      const bool inside = y >= 0 && y < s.h;
      const int64_t lo = inside ? std::clamp(-x0 * s.c, a, b) : b,
                    hi = inside ? std::clamp((s.w - x0) * s.c, lo, b) : b;
      const T* row = from + (y * s.w + x0) * s.c;
      out = std::fill_n(out, lo - a, T(0));
      out = std::copy(row + lo, row + hi, out);
      out = std::fill_n(out, b - hi, T(0));
    }
  }
}

// Prefetches n elements.
template <class T>
void fetch(const T* p, int64_t n) {
  for (int64_t e = 0; e < n; e += 64 / sizeof(T)) __builtin_prefetch(p + e, 0, 2);
}
// Prefetches what gather() reads for one pixel.
template <class T>
void fetch(const Window& s, const T* image, int64_t pixel, int64_t first, int64_t last) {
  const Pixel p(s, pixel);
  const int64_t run = s.taps_x * s.c, x = std::max(p.j * s.stride + s.offset_x, int64_t{0});
  for (int64_t u = first / run; u * run < last; ++u) {
    const int64_t y = p.i * s.stride + s.offset_y + u, a = std::max(first - u * run, int64_t{0});
    if (y >= 0 && y < s.h)
      fetch(image + ((p.n * s.h + y) * s.w + x) * s.c + a, std::min(last - u * run, run) - a);
  }
}

// Computes to(n, i, j)[0 .. channels) = sum over the window's taps and c of image times weights, for the
// output pixels [begin, end), on one thread. With `add`, the sum is added to what is there. pack(panels, tap,
// taps, c, terms) packs the weights of `taps` taps from `tap` on, `terms` terms from c on for each tap.
template <class T, class To, class Pack>
void multiply_window(const Window& s, const T* image, int64_t begin, int64_t end, int64_t channels, bool add,
                     To&& to, Pack&& pack) {
  static const T zeros[kDepth] = {};
  constexpr int64_t kFewChannels = 16;  // shorter runs are slower to use in place than to gather
  struct Place {
    const T* image;
    int64_t y, x;
    T* out;
  };
  const bool gathered = s.c < kFewChannels;
  const int64_t taps = s.taps(), width = ceil_div(channels, kColumns<T>) * kColumns<T>;
  const int64_t terms = s.c == 0 ? 1 : ceil_div(s.c, ceil_div(s.c, kDepth));
  const int64_t group = std::clamp<int64_t>(kDepth / terms, 1, std::max<int64_t>(taps, 1));
  // Calls f for every piece of the sum: `group` taps at a time, or a part of one tap.
  const auto each_piece = [&](auto&& f) {
    for (int64_t tap = 0; tap < taps; tap += group)
      for (int64_t c = 0; c < s.c; c += terms)
        f(tap, std::min(group, taps - tap), c, std::min(terms, s.c - c));
  };
  thread_local Scratch<Place> places;
  thread_local Scratch<const T*> sources;
  thread_local Scratch<T> panels, gathers;
  Place* place = places.get(kBlockRows);
  const T** from = sources.get(kBlockRows * group);
  T* packed = panels.get(taps * s.c * width);
  each_piece([&](int64_t tap, int64_t some, int64_t c, int64_t count) {
    pack(packed + (tap * s.c + some * c) * width, tap, some, c, count);
  });
  for (int64_t first = begin; first < end; first += kBlockRows) {
    const int64_t pixels = std::min(kBlockRows, end - first), tiles = ceil_div(pixels, kRows);
    Pixel p(s, first);
    // Rows past the last repeat it, and nothing is written for them.
    for (int64_t q = 0; q < tiles * kRows; ++q) {
      place[q] = q < pixels ? Place{image + p.n * s.h * s.w * s.c, p.i * s.stride + s.offset_y,
                                    p.j * s.stride + s.offset_x, to(p.n, p.i, p.j)}
                            : place[q - 1];
      p.next(s);
    }
    if (taps * s.c == 0 && !add)
      for (int64_t q = 0; q < pixels; ++q) std::fill_n(place[q].out, channels, T(0));
    each_piece([&](int64_t tap, int64_t some, int64_t c, int64_t count) {
      const int64_t runs = gathered ? 1 : some, depth = gathered ? some * count : count;
      if (gathered) {
        T* rows = gathers.get(kBlockRows * depth);
        gather(rows, depth, image, s, first, first + pixels, tap * s.c, (tap + some) * s.c);
        for (int64_t q = 0; q < tiles * kRows; ++q) from[q] = rows + std::min(q, pixels - 1) * depth;
      } else {
        for (int64_t t = 0; t < some; ++t)
          for (int64_t q = 0, u = (tap + t) / s.taps_x, v = (tap + t) % s.taps_x; q < tiles * kRows; ++q) {
            const int64_t y = place[q].y + u, x = place[q].x + v;
            const bool inside = y >= 0 && y < s.h && x >= 0 && x < s.w;
            from[(q / kRows * some + t) * kRows + q % kRows] =
                inside ? place[q].image + (y * s.w + x) * s.c + c : zeros;
          }
      }
      const T* piece = packed + (tap * s.c + some * c) * width;
      const T beta = add || tap > 0 || c > 0 ? T(1) : T(0);
      for (int64_t j = 0; j < channels; j += kColumns<T>)
        for (int64_t i = 0; i < tiles; ++i) {
          T* out[kRows];
          for (int r = 0; r < kRows; ++r) out[r] = place[i * kRows + r].out + j;
          tile<1>(out, std::min<int64_t>(kRows, pixels - i * kRows),
                  std::min<int64_t>(kColumns<T>, channels - j), from + i * runs * kRows, runs, depth,
                  piece + j * runs * depth, kColumns<T>, beta);
        }
    });
  }
}

// Computes y[p, o] = sum over taps of columns[source pixel of (p, tap), at(tap) + o * step] for the output
// pixels of one image. This is the second half of a convolution whose first half made the products of every
// source pixel and tap at once.
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

// With at most this many output channels, the vector registers would be mostly empty. The products are then
// made for all taps at once, and sum_taps adds them.
constexpr int64_t kFewChannels = 8;

// How a product of `all_pixels` rows and `outputs` columns with sums of `depth` terms is cut into tasks. The
// packed weights of a task take half of a second-level cache, and many pixels share the cost of packing them.
struct Cut {
  Cut(int64_t all_pixels, int64_t outputs, int64_t depth) {
    constexpr int64_t kTasks = 16, kMostPixels = 1024, kMostWeights = 1 << 18, kStep = 32;
    channels = std::clamp(kMostWeights / std::max<int64_t>(depth, 1) / kStep * kStep, kStep, outputs);
    int64_t blocks = std::max<int64_t>(ceil_div(all_pixels, kMostPixels), 1);
    while (blocks * ceil_div(outputs, channels) < kTasks && all_pixels > blocks * kBlockRows) blocks *= 2;
    while (blocks * ceil_div(outputs, channels) < kTasks && channels > kStep)
      channels = ceil_div(channels / 2, kStep) * kStep;
    pixels = std::max<int64_t>(ceil_div(ceil_div(all_pixels, blocks), kRows) * kRows, 1);
    across = ceil_div(outputs, channels);
    tasks = ceil_div(all_pixels, pixels) * across;
  }
  int64_t channels, pixels = 0, across = 0, tasks = 0;
};

}  // namespace

template <class T>
void conv_forward_implicit(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape s) {
  const Window window{s.h, s.w, s.ci, s.kh, s.kw, s.stride, -s.pad_top, -s.pad_left, s.oh(), s.ow()};
  const int64_t taps = s.kh * s.kw, depth = taps * s.ci, pixels = s.n * s.oh() * s.ow();
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
  const Cut cut(pixels, s.co, depth);
  parallel_for(cut.tasks, 1, [&](int64_t task, int64_t) {
    const int64_t begin = task / cut.across * cut.pixels, end = std::min(pixels, begin + cut.pixels);
    const int64_t first = task % cut.across * cut.channels, channels = std::min(cut.channels, s.co - first);
    if (bias)
      for (int64_t i = begin; i < end; ++i)
        std::copy(bias + first, bias + first + channels, y + i * s.co + first);
    multiply_window(
        window, x, begin, end, channels, bias != nullptr,
        [&](int64_t n, int64_t i, int64_t j) { return y + ((n * s.oh() + i) * s.ow() + j) * s.co + first; },
        [&](T* panels, int64_t tap, int64_t some, int64_t c, int64_t terms) {
          pack_columns_transposed(panels, some * terms * kColumns<T>, weight + first * depth + tap * s.ci + c,
                                  depth, some * terms, channels);
        });
  });
}

// One class of input pixels by row and by column (stride_phases.h): where it begins, and the window of dy that it
// sees.
struct InputClass {
  InputClass(const ConvShape& s, int64_t iy, int64_t ix)
      : iy(iy),
        ix(ix),
        y(class_taps(int(iy), int(s.kh), int(s.stride), int(s.pad_top))),
        x(class_taps(int(ix), int(s.kw), int(s.stride), int(s.pad_left))),
        window{s.oh(),
               s.ow(),
               s.co,
               y.count,
               x.count,
               1,
               y.offset,
               x.offset,
               class_pixels(int(iy), int(s.h), int(s.stride)),
               class_pixels(int(ix), int(s.w), int(s.stride))} {}
  // u and v return the kernel's row and column of the window's tap (a, b).
  int64_t u(int64_t a) const { return y.first + a * y.next; }
  int64_t v(int64_t b) const { return x.first + b * x.next; }

  int64_t iy, ix;
  ClassTaps y, x;
  Window window;
};

template <class T>
void conv_backward_input_implicit(Cpu, T* dx, const T* dy, const T* weight, ConvShape s) {
  const int64_t classes_y = std::min(s.stride, s.h), classes_x = std::min(s.stride, s.w);
  const int64_t kernel = s.kh * s.kw, depth = kernel * s.ci;
  if (s.ci <= kFewChannels && kernel > 1 && s.co > kFewChannels) {
    parallel_for(s.n, 1, [&](int64_t n, int64_t) {
      thread_local Scratch<T> scratch;
      const int64_t pixels = s.oh() * s.ow();
      T* columns = scratch.get(pixels * depth);
      gemm(columns, depth, dy + n * pixels * s.co, s.co, weight, depth, pixels, depth, s.co, false, false);
      for (int64_t c = 0; c < classes_y * classes_x; ++c) {
        const InputClass part(s, c / classes_x, c % classes_x);
        sum_taps(
            columns, depth, part.window, s.ci, 1,
            [&](int64_t a, int64_t b) { return (part.u(a) * s.kw + part.v(b)) * s.ci; },
            [&](int64_t i, int64_t j) {
              return dx + ((n * s.h + part.iy + i * s.stride) * s.w + part.ix + j * s.stride) * s.ci;
            });
      }
    });
    return;
  }

  const Cut cut(s.n * ceil_div(s.h, s.stride) * ceil_div(s.w, s.stride), s.ci,
                ceil_div(s.kh, s.stride) * ceil_div(s.kw, s.stride) * s.co);
  parallel_for(classes_y * classes_x * cut.tasks, 1, [&](int64_t task, int64_t) {
    const int64_t c = task / cut.tasks;
    const InputClass part(s, c / classes_x, c % classes_x);
    const Window& window = part.window;
    const int64_t pixels = s.n * window.rows * window.columns;
    const int64_t begin = task % cut.tasks / cut.across * cut.pixels,
                  end = std::min(pixels, begin + cut.pixels);
    const int64_t first = task % cut.across * cut.channels, channels = std::min(cut.channels, s.ci - first);
    if (begin >= end) return;
    multiply_window(
        window, dy, begin, end, channels, false,
        [&](int64_t n, int64_t i, int64_t j) {
          return dx + ((n * s.h + part.iy + i * s.stride) * s.w + part.ix + j * s.stride) * s.ci + first;
        },
        [&](T* panels, int64_t tap, int64_t some, int64_t o, int64_t terms) {
          for (int64_t t = tap; t < tap + some; ++t) {
            const int64_t u = part.u(t / window.taps_x), v = part.v(t % window.taps_x);
            pack_columns(panels + (t - tap) * terms * kColumns<T>, some * terms * kColumns<T>,
                         weight + ((o * s.kh + u) * s.kw + v) * s.ci + first, depth, terms, channels);
          }
        });
  });
}

// dw (co, taps * ci) = dy^T times what each pixel sees, summed over the pixels. It is made in blocks of
// `rows` by `width`. If these are few, each is made in several spans of pixels, whose sums are added in
// order.
template <class T>
void conv_backward_weight_implicit(Cpu, T* dw, const T* dy, const T* x, ConvShape s) {
  constexpr int64_t kTasks = 16, kShortestSpan = 4 * kDepth, kSmallestSide = 32;
  const Window window{s.h, s.w, s.ci, s.kh, s.kw, s.stride, -s.pad_top, -s.pad_left, s.oh(), s.ow()};
  const int64_t depth = s.kh * s.kw * s.ci, pixels = s.n * s.oh() * s.ow();
  int64_t rows = std::min<int64_t>(s.co, 512), width = std::min<int64_t>(depth, 256);
  const auto blocks = [&] { return ceil_div(s.co, rows) * ceil_div(depth, width); };
  const int64_t spans = std::max<int64_t>(1, std::min(kTasks / blocks(), pixels / kShortestSpan));
  while (blocks() * spans < kTasks / 2 && std::max(rows, width) > kSmallestSide) {
    int64_t& side = rows > width ? rows : width;
    side = ceil_div(ceil_div(side, 2), kSmallestSide) * kSmallestSide;
  }
  const int64_t across = ceil_div(depth, width), span = ceil_div(ceil_div(pixels, spans), kDepth) * kDepth;
  thread_local Scratch<T> partial_sums;
  T* const sums = spans > 1 ? partial_sums.get(spans * s.co * depth) : dw;
  parallel_for(blocks() * spans, 1, [&](int64_t task, int64_t) {
    const int64_t part = task / blocks(), block = task % blocks();
    const int64_t o = block / across * rows, outputs = std::min(rows, s.co - o);
    const int64_t first = block % across * width, last = std::min(depth, first + width);
    const int64_t end = std::min(pixels, (part + 1) * span);
    // The distance of rows is an odd number of cache lines, so that a panel stays in the first-level cache.
    const int64_t pitch = ceil_div(width, kColumns<T>) * kColumns<T> + kLanes<T>;
    thread_local Scratch<T> gathers, lefts;
    T* seen = gathers.get(kDepth * pitch);
    T* left = lefts.get(ceil_div(outputs, kRows) * row_stride<T>(kDepth));
    T* const sum = sums + part * s.co * depth;
    int64_t begin = part * span;
    do {  // once even for an empty batch, whose gradient is zero
      const int64_t terms = std::max(std::min(kDepth, end - begin), int64_t{0});
      gather(seen, pitch, x, window, begin, begin + terms, first, last);
      pack_rows(left, dy + begin * s.co + o, s.co, outputs, terms);
      int64_t ahead = begin + terms;  // the next pixels are prefetched meanwhile, one for each tile
      const int64_t until = std::min(end, ahead + kDepth);
      for (int64_t i = 0; i < outputs; i += kRows)
        for (int64_t j = first; j < last; j += kColumns<T>, ++ahead) {
          if (ahead < until) fetch(window, x, ahead, first, last), fetch(dy + ahead * s.co + o, outputs);
          T* out[kRows];
          const T* from[kRows];
          for (int64_t r = 0; r < kRows; ++r) {
            out[r] = sum + (o + std::min(i + r, outputs - 1)) * depth + j;
            from[r] = left + i / kRows * row_stride<T>(terms) + r;
          }
          tile<kRows>(out, std::min<int64_t>(kRows, outputs - i), std::min<int64_t>(kColumns<T>, last - j),
                      from, 1, terms, seen + j - first, pitch, begin > part * span ? T(1) : T(0));
        }
    } while ((begin += kDepth) < end);
  });
  if (spans > 1) add_in_order(dw, sums, s.co * depth, spans);
}

#define INSTANTIATE(T)                                                                   \
  template void conv_forward_implicit(Cpu, T*, const T*, const T*, const T*, ConvShape); \
  template void conv_backward_input_implicit(Cpu, T*, const T*, const T*, ConvShape);    \
  template void conv_backward_weight_implicit(Cpu, T*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
