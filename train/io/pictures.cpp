#include "train/io/pictures.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/files/npz.h"
#include "data/images/image.h"
#include "data/images/pixel.h"

namespace dae {

std::vector<uint8_t> bytes_of(const Tensor& x) {
  std::vector<uint8_t> bytes;
  for (const double v : x.values()) bytes.push_back(byte_of_value(v));
  return bytes;
}

void save_grid(const std::string& path, const Tensor& x, int64_t columns) {
  const int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), c = x.dim(3);
  columns = std::min(columns, n);
  const int64_t rows = (n + columns - 1) / columns, width = columns * w;
  std::vector<uint8_t> grid(size_t(rows * h * width * c), 255);
  const std::vector<double> values = x.values();
  for (int64_t i = 0; i < n; ++i)
    for (int64_t y = 0; y < h; ++y)
      for (int64_t k = 0; k < w * c; ++k)
        grid[size_t((((i / columns) * h + y) * width + (i % columns) * w) * c + k)] =
            byte_of_value(values[size_t((i * h + y) * w * c + k)]);
  save_png(path, grid.data(), rows * h, width, c);
}

void save_arrays(const std::string& path, const Tensor& x) {
  const std::vector<uint8_t> bytes = bytes_of(x);
  save_npz(path, {{"arr_0", "U8", {x.shape().begin(), x.shape().end()}, bytes.data(), bytes.size()}});
}

Tensor side_by_side(const Tensor& x, const Tensor& y) {
  if (x.device() != Device::cpu) return side_by_side(x.to(Device::cpu), y.to(Device::cpu));
  Shape shape = x.shape();
  shape[0] *= 2;
  Tensor out = x.like(shape);
  const int64_t row = x.bytes() / x.dim(0);
  auto* to = static_cast<char*>(out.raw());
  for (int64_t i = 0; i < x.dim(0); ++i) {
    std::memcpy(to + 2 * i * row, static_cast<const char*>(x.raw()) + i * row, size_t(row));
    std::memcpy(to + (2 * i + 1) * row, static_cast<const char*>(y.raw()) + i * row, size_t(row));
  }
  return out;
}

}  // namespace dae
