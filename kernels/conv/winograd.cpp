// Convolution with fewer multiplications: outputs are made two by two, as products in another basis (S.
// Winograd; A. Lavin and S. Gray, arXiv 1509.09308). Along one axis, two outputs y of r taps g over r + 1
// inputs d are
//   y = A^T [(G g) * (B^T d)]
// with r + 1 multiplications instead of 2 r. F(2, 3) interpolates at 0, 1, -1 and infinity, and F(2, 2) at 0,
// 1 and infinity. The coefficients are therefore 0, 1 and 1/2 up to sign, and very little precision is lost.
// In two dimensions r = 3 needs 16 products instead of 36, and r = 2 needs 9 instead of 16.
//
// A convolution of stride 2, and its gradient, are sums of convolutions of stride 1 over every second pixel.
// Each of them, a `Term`, has the taps of one parity.
#include <algorithm>
#include <utility>

#include "kernels/conv/conv.h"
#include "kernels/conv/stride_phases.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/matmul/simd_tile.h"

namespace dae {

namespace {

template <class T>
int64_t whole_panels(int64_t n) {
  return ceil_div(n, kColumns<T>) * kColumns<T>;
}

// The products with the three matrices of F(2, taps), and with the transposed ones that the gradient of the
// weights needs.
template <int taps>
struct Basis;
template <>
struct Basis<1> {
  template <class V>
  static void inputs(V* v, const V* d) {
    v[0] = d[0], v[1] = d[1];
  }
  template <class V>
  static void weights(V* u, const V* g) {
    u[0] = u[1] = g[0];
  }
  template <class V>
  static void outputs(V* y, const V* m) {
    y[0] = m[0], y[1] = m[1];
  }
  template <class V>
  static void outputs_transposed(V* m, const V* y) {
    m[0] = y[0], m[1] = y[1];
  }
  template <class V>
  static void weights_transposed(V* g, const V* u) {
    g[0] = u[0] + u[1];
  }
};
template <>
struct Basis<2> {
  template <class V>
  static void inputs(V* v, const V* d) {
    v[0] = d[0] - d[1], v[1] = d[1], v[2] = d[2] - d[1];
  }
  template <class V>
  static void weights(V* u, const V* g) {
    u[0] = g[0], u[1] = g[0] + g[1], u[2] = g[1];
  }
  template <class V>
  static void outputs(V* y, const V* m) {
    y[0] = m[0] + m[1], y[1] = m[1] + m[2];
  }
  template <class V>
  static void outputs_transposed(V* m, const V* y) {
    m[0] = y[0], m[1] = y[0] + y[1], m[2] = y[1];
  }
  template <class V>
  static void weights_transposed(V* g, const V* u) {
    g[0] = u[0] + u[1], g[1] = u[1] + u[2];
  }
};
template <>
struct Basis<3> {
  template <class V>
  static void inputs(V* v, const V* d) {
    v[0] = d[0] - d[2], v[1] = d[1] + d[2], v[2] = d[2] - d[1], v[3] = d[1] - d[3];
  }
  template <class V>
  static void weights(V* u, const V* g) {
    u[0] = g[0], u[1] = (g[0] + g[1] + g[2]) * 0.5f, u[2] = (g[0] - g[1] + g[2]) * 0.5f, u[3] = g[2];
  }
  template <class V>
  static void outputs(V* y, const V* m) {
    y[0] = m[0] + m[1] + m[2], y[1] = m[1] - m[2] - m[3];
  }
  template <class V>
  static void outputs_transposed(V* m, const V* y) {
    m[0] = y[0], m[1] = y[0] + y[1], m[2] = y[0] - y[1], m[3] = -y[1];
  }
  template <class V>
  static void weights_transposed(V* g, const V* u) {
    const V sum = (u[1] + u[2]) * 0.5f;
    g[0] = u[0] + sum, g[1] = (u[1] - u[2]) * 0.5f, g[2] = sum + u[3];
  }
};

// Computes out = D in A^T for a small matrix of vectors. `down` applies D to a column, `across` applies A to
// a row.
template <int rows, int columns, int rows_out, int columns_out, class V, class Down, class Across>
void both_ways(V (&out)[rows_out][columns_out], const V (&in)[rows][columns], Down&& down, Across&& across) {
  V half[columns][rows_out];
  for (int q = 0; q < columns; ++q) {
    V column[rows];
    for (int p = 0; p < rows; ++p) column[p] = in[p][q];
    down(half[q], column);
  }
  for (int p = 0; p < rows_out; ++p) {
    V row[columns];
    for (int q = 0; q < columns; ++q) row[q] = half[q][p];
    across(out[p], row);
  }
}

// Returns the first n elements of a vector, with zeros for the others. n may be larger than a vector.
template <class T>
Vector<T> load_some(const T* p, int64_t n) {
  if (n >= kLanes<T>) return load(p);
  Vector<T> v = {};
  __builtin_memcpy(&v, p, size_t(n) * sizeof(T));
  return v;
}
// Stores the first n elements of a vector.
template <class T>
void store_some(T* p, Vector<T> v, int64_t n) {
  if (n >= kLanes<T>) store(p, v);
  else __builtin_memcpy(p, &v, size_t(n) * sizeof(T));
}

// A view of every `stride`-th row and column of images (n, h, w, c), from row y and column x on.
template <class T>
struct View {
  View() = default;
  View(T* images, int64_t h, int64_t w, int64_t c, int64_t stride, int64_t y, int64_t x)
      : data(images + (y * w + x) * c),
        h(y < h ? (h - 1 - y) / stride + 1 : 0),
        w(x < w ? (w - 1 - x) / stride + 1 : 0),
        image(h * w * c),
        row(stride * w * c),
        column(stride * c) {}
  // Returns the address of a pixel, or null outside the image.
  T* at(int64_t n, int64_t y, int64_t x) const {
    return y >= 0 && y < h && x >= 0 && x < w ? data + n * image + y * row + x * column : nullptr;
  }
  T* data = nullptr;
  int64_t h = 0, w = 0, image = 0, row = 0, column = 0;
};

// Returns the first input pixel that the kernel's taps part, part + stride, ... see. They see every stride-th
// pixel from it on.
int64_t first_seen(int64_t part, int64_t stride, int64_t pad) {
  return ((part - pad) % stride + stride) % stride;
}
// Returns how these taps see those pixels: class_taps() for the forward direction.
ClassTaps part_taps(int64_t part, int64_t kernel, int64_t stride, int64_t pad) {
  return {int((kernel - 1 - part) / stride + 1), int((part - pad - first_seen(part, stride, pad)) / stride),
          int(part), int(stride)};
}

constexpr int64_t kMostStride = 2, kMostTerms = kMostStride * kMostStride;

// Calls f.template operator()<taps_y, taps_x>() for the term's numbers of taps.
template <class F>
void with_taps(const ClassTaps& y, const ClassTaps& x, F&& f) {
  const auto across = [&]<int taps_y>() {
    if (x.count == 3) f.template operator()<taps_y, 3>();
    else if (x.count == 2) f.template operator()<taps_y, 2>();
    else f.template operator()<taps_y, 1>();
  };
  if (y.count == 3) across.template operator()<3>();
  else if (y.count == 2) across.template operator()<2>();
  else across.template operator()<1>();
}

// Divides the pixels of a view into tiles of two by two, counted over the batch.
struct Tiles {
  Tiles(int64_t n, int64_t h, int64_t w)
      : rows(ceil_div(h, 2)), columns(ceil_div(w, 2)), count(n * rows * columns) {}
  struct Place {
    int64_t n, y, x;  // of the first pixel
  };
  Place at(int64_t tile) const {
    return {tile / (rows * columns), tile / columns % rows * 2, tile % columns * 2};
  }
  int64_t rows, columns, count;
};

// Writes v[p] (channels, rounded up to vectors), `pitch` apart, for each point p: the inputs that the outputs
// of a tile see, transformed.
template <int taps_y, int taps_x, class T>
void transform_inputs(T* v, int64_t pitch, const View<const T>& in, const ClassTaps& y, const ClassTaps& x,
                      Tiles::Place tile, int64_t first, int64_t channels) {
  const T* from[taps_y + 1][taps_x + 1];
  for (int p = 0; p <= taps_y; ++p)
    for (int q = 0; q <= taps_x; ++q)
      from[p][q] = in.at(tile.n, tile.y + y.offset + p, tile.x + x.offset + q);
  for (int64_t c = 0; c < channels; c += kLanes<T>) {
    Vector<T> d[taps_y + 1][taps_x + 1], out[taps_y + 1][taps_x + 1];
    for (int p = 0; p <= taps_y; ++p)
      for (int q = 0; q <= taps_x; ++q)
        d[p][q] = from[p][q] ? load_some(from[p][q] + first + c, channels - c) : Vector<T>{};
    both_ways(out, d, Basis<taps_y>::template inputs<Vector<T>>, Basis<taps_x>::template inputs<Vector<T>>);
    for (int p = 0; p <= taps_y; ++p)
      for (int q = 0; q <= taps_x; ++q) store(v + (p * (taps_x + 1) + q) * pitch + c, out[p][q]);
  }
}

// Writes the tile's outputs in channels [first, first + channels) from the products m[p], `pitch` apart. They
// are added to what is there with `add`, otherwise to the bias (null means zero).
template <int taps_y, int taps_x, class T>
void transform_outputs(const View<T>& out, Tiles::Place tile, const T* m, int64_t pitch, int64_t first,
                       int64_t channels, bool add, const T* bias) {
  T* to[2][2];
  for (int p = 0; p < 2; ++p)
    for (int q = 0; q < 2; ++q) to[p][q] = out.at(tile.n, tile.y + p, tile.x + q);
  for (int64_t c = 0; c < channels; c += kLanes<T>) {
    const int64_t left = channels - c;
    Vector<T> in[taps_y + 1][taps_x + 1], sum[2][2];
    for (int p = 0; p <= taps_y; ++p)
      for (int q = 0; q <= taps_x; ++q) in[p][q] = load(m + (p * (taps_x + 1) + q) * pitch + c);
    both_ways(sum, in, Basis<taps_y>::template outputs<Vector<T>>,
              Basis<taps_x>::template outputs<Vector<T>>);
    const Vector<T> start = bias && !add ? load_some(bias + first + c, left) : Vector<T>{};
    for (int p = 0; p < 2; ++p)
      for (int q = 0; q < 2; ++q)
        if (T* y = to[p][q]) {
          y += first + c;
          store_some(y, sum[p][q] + (add ? load_some(y, left) : start), left);
        }
  }
}

// Writes u[p] (rows, kColumns), `pitch` apart, from the panels of the taps (taps_y, taps_x, rows, kColumns).
template <int taps_y, int taps_x, class T>
void transform_weights(T* u, int64_t pitch, const T* panels, int64_t rows) {
  const int64_t size = rows * kColumns<T>;
  for (int64_t e = 0; e < size; e += kLanes<T>) {
    Vector<T> g[taps_y][taps_x], out[taps_y + 1][taps_x + 1];
    for (int a = 0; a < taps_y; ++a)
      for (int b = 0; b < taps_x; ++b) g[a][b] = load(panels + (a * taps_x + b) * size + e);
    both_ways(out, g, Basis<taps_y>::template weights<Vector<T>>, Basis<taps_x>::template weights<Vector<T>>);
    for (int p = 0; p <= taps_y; ++p)
      for (int q = 0; q <= taps_x; ++q) store(u + (p * (taps_x + 1) + q) * pitch + e, out[p][q]);
  }
}

// A convolution of stride 1 from one view to another.
template <class T>
struct Term {
  View<const T> in;
  View<T> out;
  ClassTaps y, x;
  int64_t points() const { return (y.count + 1) * (x.count + 1); }
};

// Writes out = bias + the sum of the `each` terms that share an `out`, for `count` terms in all. The inputs
// have `depth` channels, the outputs `outputs`. pack(panel, u, v, row, rows, column, columns) packs one panel
// of the kernel's tap (u, v).
template <class T, class Pack>
void multiply(const Term<T>* terms, int64_t count, int64_t each, int64_t n, int64_t depth, int64_t outputs,
              const T* bias, Pack&& pack) {
  // A block of tiles, and half a block, are whole rows of products, so that tile() writes whole tiles.
  constexpr int64_t kTasks = 16, kMostTiles = 8 * kRows, kFewestTiles = 4 * kRows, kSlice = 128,
                    kPackRows = 32;
  // The rows of different points are one more cache line apart. A power of two would put all of them into one
  // set of the cache.
  constexpr int64_t kApart = kLanes<T>;
  const int64_t panels = ceil_div(outputs, kColumns<T>), panel_size = depth * kColumns<T> + kApart;
  int64_t begins[kMostTerms + 1] = {}, most_tiles = 0;
  for (int64_t t = 0; t < count; ++t) {
    begins[t + 1] = begins[t] + terms[t].points() * panels * panel_size;
    most_tiles = std::max(most_tiles, Tiles(n, terms[t].out.h, terms[t].out.w).count);
  }
  thread_local Scratch<T> transformed;
  T* const weights = transformed.get(begins[count]);
  parallel_for(count * panels, 1, [&](int64_t task, int64_t) {
    const Term<T>& term = terms[task / panels];
    const int64_t column = task % panels * kColumns<T>,
                  columns = std::min<int64_t>(kColumns<T>, outputs - column);
    thread_local Scratch<T> scratch;
    T* const taps = scratch.get(term.y.count * term.x.count * kPackRows * kColumns<T>);
    T* const to = weights + begins[task / panels] + task % panels * term.points() * panel_size;
    for (int64_t row = 0; row < depth; row += kPackRows) {
      const int64_t rows = std::min(kPackRows, depth - row);
      for (int64_t a = 0; a < term.y.count; ++a)
        for (int64_t b = 0; b < term.x.count; ++b)
          pack(taps + (a * term.x.count + b) * rows * kColumns<T>, term.y.first + term.y.next * a,
               term.x.first + term.x.next * b, row, rows, column, columns);
      with_taps(term.y, term.x, [&]<int ty, int tx>() {
        transform_weights<ty, tx>(to + row * kColumns<T>, panel_size, taps, rows);
      });
    }
  });

  int64_t slice = std::min(kSlice * 2, whole_panels<T>(outputs)), block = kMostTiles;
  const auto tasks = [&] { return count / each * ceil_div(most_tiles, block) * ceil_div(outputs, slice); };
  if (tasks() < kTasks) slice = std::min(kSlice, slice);
  while (tasks() < kTasks && block > kFewestTiles) block /= 2;
  const int64_t slices = ceil_div(outputs, slice), blocks = ceil_div(most_tiles, block);
  parallel_for(count / each * blocks * slices, 1, [&](int64_t task, int64_t) {
    const int64_t group = task / (blocks * slices), first = task % slices * slice;
    const int64_t channels = std::min(slice, outputs - first), width = whole_panels<T>(channels);
    const View<T>& out = terms[group * each].out;
    const Tiles tiles(n, out.h, out.w);
    const int64_t begin = task / slices % blocks * block, some = std::min(block, tiles.count - begin);
    if (some <= 0) return;
    const int64_t rows = ceil_div(some, kRows) * kRows;
    thread_local Scratch<T> inputs, products;
    for (int64_t t = group * each; t < (group + 1) * each; ++t) {
      const Term<T>& term = terms[t];
      const int64_t points = term.points();
      const int64_t pitch = whole_panels<T>(std::min(depth, kDepth)) + kApart;
      const int64_t v_point = block * pitch + kApart, m_point = block * slice + kApart;
      T *const v = inputs.get(points * v_point), *const m = products.get(points * m_point);
      for (int64_t c = 0; c < depth; c += kDepth) {
        const int64_t some_depth = std::min(kDepth, depth - c);
        with_taps(term.y, term.x, [&]<int ty, int tx>() {
          for (int64_t i = 0; i < some; ++i)
            transform_inputs<ty, tx>(v + i * pitch, v_point, term.in, term.y, term.x, tiles.at(begin + i), c,
                                     some_depth);
        });
        for (int64_t p = 0; p < points; ++p)
          for (int64_t j = 0; j < width; j += kColumns<T>)
            for (int64_t i = 0; i < rows; i += kRows) {
              T* to[kRows];
              const T* from[kRows];
              for (int64_t r = 0; r < kRows; ++r) {
                to[r] = m + p * m_point + (i + r) * slice + j;
                from[r] = v + p * v_point + std::min(i + r, some - 1) * pitch;
              }
              tile<1>(to, kRows, kColumns<T>, from, 1, some_depth,
                      weights + begins[t] + ((first + j) / kColumns<T> * points + p) * panel_size +
                          c * kColumns<T>,
                      kColumns<T>, c > 0 ? T(1) : T(0));
            }
      }
      with_taps(term.y, term.x, [&]<int ty, int tx>() {
        for (int64_t i = 0; i < some; ++i)
          transform_outputs<ty, tx>(out, tiles.at(begin + i), m + i * slice, m_point, first, channels,
                                    t > group * each, bias);
      });
    }
  });
}

// kSide: the channels of a block of the weights' gradient. kPitch: the distance of its rows, which is not a
// power of two.
constexpr int64_t kSide = 128, kSideRows = (kSide + kRows - 1) / kRows * kRows;
template <class T>
constexpr int kPitch = kSide + kLanes<T>;

// Writes (p = 0) or adds to dw (p > 0) the share of the points in row p of the transformed gradient, for a
// block of `outputs` by `channels`, from the tiles [begin, end). dw points to the first output and channel of
// the block; outputs are `depth` apart, taps `tap_y` and `tap_x`.
template <int p, int taps_y, int taps_x, class T>
void add_weight_gradient(T* dw, int64_t depth, int64_t tap_y, int64_t tap_x, const View<const T>& dy,
                         const View<const T>& in, const ClassTaps& y, const ClassTaps& x, const Tiles& tiles,
                         int64_t begin, int64_t end, int64_t outputs, int64_t channels) {
  using V = Vector<T>;
  constexpr int64_t kChunk = 64, kPoints = taps_x + 1;
  constexpr int64_t kSize = kChunk * kPitch<T> + kLanes<T>, kSumSize = kSideRows * kPitch<T> + kLanes<T>;
  thread_local Scratch<T> scratch;
  T* const left = scratch.get(kPoints * (2 * kSize + kSumSize));
  T *const right = left + kPoints * kSize, *const sums = right + kPoints * kSize;
  for (int64_t chunk = begin; chunk < end; chunk += kChunk) {
    const int64_t some = std::min(kChunk, end - chunk);
    for (int64_t i = 0; i < some; ++i) {
      const Tiles::Place place = tiles.at(chunk + i);
      const T* from[taps_y + 1][taps_x + 1];
      for (int a = 0; a <= taps_y; ++a)
        for (int b = 0; b <= taps_x; ++b)
          from[a][b] = in.at(place.n, place.y + y.offset + a, place.x + x.offset + b);
      for (int64_t c = 0; c < channels; c += kLanes<T>) {
        V row[kPoints], out[kPoints];
        for (int b = 0; b < kPoints; ++b) {
          V d[taps_y + 1], all[taps_y + 1];
          for (int a = 0; a <= taps_y; ++a) d[a] = from[a][b] ? load_some(from[a][b] + c, channels - c) : V{};
          Basis<taps_y>::inputs(all, d);
          row[b] = all[p];
        }
        Basis<taps_x>::inputs(out, row);
        for (int q = 0; q < kPoints; ++q) store(right + q * kSize + i * kPitch<T> + c, out[q]);
      }
      const T* gradient[2][2];
      for (int a = 0; a < 2; ++a)
        for (int b = 0; b < 2; ++b) gradient[a][b] = dy.at(place.n, place.y + a, place.x + b);
      for (int64_t o = 0; o < outputs; o += kLanes<T>) {
        V row[2], out[kPoints];
        for (int b = 0; b < 2; ++b) {
          V d[2], all[taps_y + 1];
          for (int a = 0; a < 2; ++a)
            d[a] = gradient[a][b] ? load_some(gradient[a][b] + o, outputs - o) : V{};
          Basis<taps_y>::outputs_transposed(all, d);
          row[b] = all[p];
        }
        Basis<taps_x>::outputs_transposed(out, row);
        for (int q = 0; q < kPoints; ++q) store(left + q * kSize + i * kPitch<T> + o, out[q]);
      }
    }
    for (int64_t q = 0; q < kPoints; ++q)
      for (int64_t j = 0; j < channels; j += kColumns<T>)
        for (int64_t o = 0; o < outputs; o += kRows) {
          T* to[kRows];
          const T* from[kRows];
          for (int64_t r = 0; r < kRows; ++r) {
            to[r] = sums + q * kSumSize + (o + r) * kPitch<T> + j;
            from[r] = left + q * kSize + o + r;
          }
          tile<kPitch<T>>(to, kRows, kColumns<T>, from, 1, some, right + q * kSize + j, kPitch<T>,
                          chunk > begin ? T(1) : T(0));
        }
  }
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t c = 0; c < channels; c += kLanes<T>) {
      V u[kPoints], row[taps_x];
      for (int q = 0; q < kPoints; ++q)
        u[q] = begin < end ? load(sums + q * kSumSize + o * kPitch<T> + c) : V{};
      Basis<taps_x>::weights_transposed(row, u);
      for (int b = 0; b < taps_x; ++b) {
        V all[taps_y + 1] = {}, column[taps_y];
        all[p] = row[b];
        Basis<taps_y>::weights_transposed(column, all);
        for (int a = 0; a < taps_y; ++a) {
          T* to = dw + o * depth + a * tap_y + b * tap_x + c;
          store_some(to, p > 0 ? load_some(to, channels - c) + column[a] : column[a], channels - c);
        }
      }
    }
}

// Returns the view of the input pixels that the kernel's taps u, u + stride, ... by v, v + stride, ... see.
template <class T>
View<const T> input_view(const T* x, const ConvShape& s, int64_t u, int64_t v) {
  return {
      x, s.h, s.w, s.ci, s.stride, first_seen(u, s.stride, s.pad_top), first_seen(v, s.stride, s.pad_left)};
}

}  // namespace

bool conv_fits_winograd(const ConvShape& s) {
  const auto fits = [&](int64_t kernel, int64_t size) {
    return kernel >= s.stride && ceil_div(kernel, s.stride) <= 3 && size >= s.stride;
  };
  return s.stride <= kMostStride && fits(s.kh, s.h) && fits(s.kw, s.w);
}

bool conv_pays_winograd(const ConvShape& s) {
  if (!conv_fits_winograd(s)) return false;
  // The costs are in multiplications for each pair of an input and an output channel. Those of the transforms
  // were fitted to timings on one core of a Xeon with AVX-512.
  constexpr int64_t kWeight = 100;  // of a transformed weight: written to memory and read back
  constexpr double kValue = 14;     // of a transformed input or product, for all channels of the other side
  const auto points = [&](int64_t kernel) {  // of all terms, along one axis
    int64_t sum = 0;
    for (int64_t part = 0; part < s.stride; ++part) sum += (kernel - 1 - part) / s.stride + 2;
    return sum;
  };
  const double tiles = double(Tiles(s.n, s.oh(), s.ow()).count);
  const double transformed = double(points(s.kh) * points(s.kw)) *
                             (tiles * (1 + kValue / double(s.ci) + kValue / double(s.co)) + kWeight);
  return transformed < double(s.kh * s.kw * s.n * s.oh() * s.ow());
}

template <class T>
void conv_forward_winograd(Cpu, T* y, const T* x, const T* weight, const T* bias, ConvShape s) {
  Term<T> terms[kMostTerms];
  const int64_t count = s.stride * s.stride, depth = s.kh * s.kw * s.ci;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t u = t / s.stride, v = t % s.stride;
    terms[t] = {input_view(x, s, u, v),
                {y, s.oh(), s.ow(), s.co, 1, 0, 0},
                part_taps(u, s.kh, s.stride, s.pad_top),
                part_taps(v, s.kw, s.stride, s.pad_left)};
  }
  multiply(terms, count, count, s.n, s.ci, s.co, bias,
           [&](T* panel, int64_t u, int64_t v, int64_t row, int64_t rows, int64_t column, int64_t columns) {
             pack_columns_transposed(panel, 0, weight + column * depth + (u * s.kw + v) * s.ci + row, depth,
                                     rows, columns);
           });
}

template <class T>
void conv_backward_input_winograd(Cpu, T* dx, const T* dy, const T* weight, ConvShape s) {
  Term<T> terms[kMostTerms];
  const int64_t count = s.stride * s.stride, depth = s.kh * s.kw * s.ci;
  for (int64_t t = 0; t < count; ++t) {
    const int64_t i = t / s.stride, j = t % s.stride;
    terms[t] = {{dy, s.oh(), s.ow(), s.co, 1, 0, 0},
                {dx, s.h, s.w, s.ci, s.stride, i, j},
                class_taps(int(i), int(s.kh), int(s.stride), int(s.pad_top)),
                class_taps(int(j), int(s.kw), int(s.stride), int(s.pad_left))};
  }
  multiply<T>(
      terms, count, 1, s.n, s.co, s.ci, nullptr,
      [&](T* panel, int64_t u, int64_t v, int64_t row, int64_t rows, int64_t column, int64_t columns) {
        pack_columns(panel, 0, weight + ((row * s.kh + u) * s.kw + v) * s.ci + column, depth, rows, columns);
      });
}

template <class T>
void conv_backward_weight_winograd(Cpu, T* dw, const T* dy, const T* x, ConvShape s) {
  constexpr int64_t kTasks = 16, kShortestSpan = 256;
  const int64_t depth = s.kh * s.kw * s.ci, terms = s.stride * s.stride;
  const Tiles tiles(s.n, s.oh(), s.ow());
  const View<const T> gradient(dy, s.oh(), s.ow(), s.co, 1, 0, 0);
  const int64_t across = ceil_div(s.ci, kSide), blocks = ceil_div(s.co, kSide) * across * terms;
  const int64_t spans = std::max<int64_t>(1, std::min(ceil_div(kTasks, blocks), tiles.count / kShortestSpan));
  const int64_t span = ceil_div(tiles.count, spans);
  thread_local Scratch<T> partial_sums;
  T* const sums = spans > 1 ? partial_sums.get(spans * s.co * depth) : dw;
  parallel_for(blocks * spans, 1, [&](int64_t task, int64_t) {
    const int64_t part = task / blocks, term = task % blocks % terms, block = task % blocks / terms;
    const int64_t o = block / across * kSide, c = block % across * kSide;
    const ClassTaps v = part_taps(term / s.stride, s.kh, s.stride, s.pad_top),
                    h = part_taps(term % s.stride, s.kw, s.stride, s.pad_left);
    View<const T> dy_block = gradient, in = input_view(x, s, term / s.stride, term % s.stride);
    dy_block.data += o, in.data += c;
    const int64_t begin = std::min(tiles.count, part * span), end = std::min(tiles.count, begin + span);
    T* const to = sums + part * s.co * depth + o * depth + (v.first * s.kw + h.first) * s.ci + c;
    with_taps(v, h, [&]<int ty, int tx>() {
      const auto add = [&]<int... p>(std::integer_sequence<int, p...>) {
        (add_weight_gradient<p, ty, tx>(to, depth, v.next * s.kw * s.ci, h.next * s.ci, dy_block, in, v, h,
                                        tiles, begin, end, std::min(kSide, s.co - o),
                                        std::min(kSide, s.ci - c)),
         ...);
      };
      add(std::make_integer_sequence<int, ty + 1>{});
    });
  });
  if (spans > 1) add_in_order(dw, sums, s.co * depth, spans);
}

#define INSTANTIATE(T)                                                                   \
  template void conv_forward_winograd(Cpu, T*, const T*, const T*, const T*, ConvShape); \
  template void conv_backward_input_winograd(Cpu, T*, const T*, const T*, ConvShape);    \
  template void conv_backward_weight_winograd(Cpu, T*, const T*, const T*, ConvShape);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace dae
