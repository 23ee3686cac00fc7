// What the direct convolutions share (direct.cu, direct_weight.cu): a result gathered from a source, by tiles
// of 128 pixels of the result. The source or the result has at most four channels.
#pragma once
#include <algorithm>

#include "kernels/conv/stride_phases.h"
#include "kernels/conv/variants.h"
#include "kernels/cuda/map.cuh"

namespace dae {

constexpr int kFew = 4, kThreads = 256, kPixels = 128, kWidth = 64;
constexpr int64_t kMostShared = 96 << 10;  // bytes that every device from sm_80 on gives a block

// A result (images, rows, columns, channels) gathered from a source (images, h, w, c), class by class
// (stride_phases.h). The forward pass has one class.
template <class T, class Result = T>
struct Gather {
  Result* result;
  const T *source, *weight;
  const float* bias;
  int images, h, w, c, rows, columns, channels, kh, kw, pad_top, pad_left;
  int step, stride;  // between neighbours of a class: in the result, and in the source
  bool forward;
  int tile_rows, tile_columns, tiles_down, tiles_across;  // of one class
  int low_y, low_x, patch_rows, patch_columns;  // the part of the source that a tile of any class needs

  HOST_DEVICE ClassTaps taps_y(int i) const {
    return forward ? ClassTaps{kh, -pad_top, 0, 1} : class_taps(i, kh, step, pad_top);
  }
  HOST_DEVICE ClassTaps taps_x(int i) const {
    return forward ? ClassTaps{kw, -pad_left, 0, 1} : class_taps(i, kw, step, pad_left);
  }
  HOST_DEVICE int tiles() const { return images * tiles_down * tiles_across; }

  struct Tile {
    int image, row, column;  // the first pixel, counted within the class
  };
  __device__ Tile tile(int i) const {
    const int line = i / tiles_across, image = line / tiles_down;
    return {image, (line - image * tiles_down) * tile_rows, (i - line * tiles_across) * tile_columns};
  }
  // first_y, first_x: where the patch of a tile begins in the source. patch_y, patch_x: where the first tap
  // of tile pixel p lies in the patch.
  __device__ int first_y(Tile t) const { return t.row * stride + low_y; }
  __device__ int first_x(Tile t) const { return t.column * stride + low_x; }
  __device__ int patch_y(int p, ClassTaps taps) const {
    return p / tile_columns * stride + taps.offset - low_y;
  }
  __device__ int patch_x(int p, ClassTaps taps) const {
    return p % tile_columns * stride + taps.offset - low_x;
  }
  // Returns where pixel p of a tile is stored, or null outside the result.
  __device__ Result* pixel(Tile t, int p, int class_y, int class_x) const {
    const int y = (t.row + p / tile_columns) * step + class_y,
              x = (t.column + p % tile_columns) * step + class_x;
    return y < rows && x < columns ? result + ((int64_t(t.image) * rows + y) * columns + x) * channels
                                   : nullptr;
  }
  __device__ int64_t weight_index(int tap, int k, int o) const {
    return forward ? (int64_t(o) * kh * kw + tap) * c + k : (int64_t(k) * kh * kw + tap) * channels + o;
  }
  // Returns the kernel's tap of a class for its tap a down and b across.
  __device__ int tap(ClassTaps y, ClassTaps x, int a, int b) const {
    return (y.first + a * y.next) * kw + x.first + b * x.next;
  }
  HOST_DEVICE int64_t patch_elements() const { return int64_t(patch_rows) * patch_columns * c; }
  // Writes patch (patch_rows, patch_columns, c), the part of the source that a tile needs, zero outside the
  // image. The whole block calls it.
  __device__ void load_patch(Shared<T> patch, Tile t) const {
    const int pitch = patch_columns * c, y0 = first_y(t), x0 = first_x(t) * c;
    for (int i = int(threadIdx.x); i < patch_rows * pitch; i += kThreads) {
      const int r = i / pitch, y = y0 + r, x = x0 + i - r * pitch;
      const bool inside = unsigned(y) < unsigned(h) && unsigned(x) < unsigned(w * c);
      patch[i] = inside ? source[(int64_t(t.image) * h + y) * w * c + x] : T(0);
    }
  }
};

template <class T>
__device__ inline uint32_t pair(T low, T high) {
  return uint32_t(low.bits) | uint32_t(high.bits) << 16;
}

// Returns the description of a pass without its pointers: forward, or the gradient of the input.
template <class T, class Result = T>
Gather<T, Result> gather(const ConvShape& s, bool forward) {
  Gather<T, Result> g{};
  g.images = int(s.n), g.kh = int(s.kh), g.kw = int(s.kw);
  g.pad_top = int(s.pad_top), g.pad_left = int(s.pad_left), g.forward = forward;
  g.step = forward ? 1 : int(s.stride), g.stride = forward ? int(s.stride) : 1;
  g.h = int(forward ? s.h : s.oh()), g.w = int(forward ? s.w : s.ow()), g.c = int(forward ? s.ci : s.co);
  g.rows = int(forward ? s.oh() : s.h), g.columns = int(forward ? s.ow() : s.w);
  g.channels = int(forward ? s.co : s.ci);
  const int rows = class_pixels(0, g.rows, g.step), columns = class_pixels(0, g.columns, g.step);
  g.tile_columns = 1;
  while (g.tile_columns < std::min(columns, 16)) g.tile_columns *= 2;
  g.tile_rows = kPixels / g.tile_columns;
  g.tiles_down = int(ceil_div(rows, g.tile_rows)), g.tiles_across = int(ceil_div(columns, g.tile_columns));
  const auto span = [&](auto taps, int tile, int& low) {
    low = taps(0).offset;
    int high = low;
    for (int i = 0; i < g.step; ++i) {  // the first pixel of a class without taps also lies in the patch
      low = std::min(low, taps(i).offset);
      high = std::max(high, taps(i).offset + std::max(taps(i).count, 1));
    }
    return (tile - 1) * g.stride + high - low;
  };
  g.patch_rows = span([&](int i) { return g.taps_y(i); }, g.tile_rows, g.low_y);
  g.patch_columns = span([&](int i) { return g.taps_x(i); }, g.tile_columns, g.low_x);
  return g;
}

}  // namespace dae
