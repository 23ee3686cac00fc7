#include "data/images/resize.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/device/error.h"

namespace dae {

namespace {

constexpr int kBits = 22;

struct Taps {  // the source pixels of one target pixel, first, first + 1, ..., and their weights
  int64_t first = 0;
  std::vector<int32_t> weights;
  int64_t end() const { return first + int64_t(weights.size()); }
};

double sinc(double t) { return t == 0 ? 1 : std::sin(std::numbers::pi * t) / (std::numbers::pi * t); }

double kernel(const std::string& filter, double t) {  // t >= 0
  if (filter == "bilinear") return std::max(0.0, 1 - t);
  if (filter == "lanczos") return t < 3 ? sinc(t) * sinc(t / 3) : 0;
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;  // bicubic
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}

Taps taps(const std::string& filter, int64_t i, int64_t in, int64_t out) {
  const double scale = double(in) / double(out), centre = (double(i) + 0.5) * scale;
  if (filter == "nearest") return {int64_t(centre), {1 << kBits}};
  const bool area = filter == "area";
  const double stretch = filter == "bilinear" ? 1 : std::max(scale, 1.0);
  const double radius = area ? scale / 2 : stretch * (filter == "bilinear" ? 1 : filter == "bicubic" ? 2 : 3);
  const int64_t first = std::max<int64_t>(0, int64_t(std::floor(centre - radius)));
  const int64_t end = std::min(in, int64_t(std::ceil(centre + radius)));
  std::vector<double> weights;
  double sum = 0;
  for (int64_t j = first; j < end; ++j) {
    const double at = double(j);
    weights.push_back(area ? std::max(0.0, std::min(at + 1, centre + radius) - std::max(at, centre - radius))
                           : kernel(filter, std::fabs(at + 0.5 - centre) / stretch));
    sum += weights.back();
  }
  Taps result{first, {}};
  for (const double w : weights) result.weights.push_back(int32_t(std::lround(w / sum * double(1 << kBits))));
  return result;
}

uint8_t to_byte(int32_t sum) { return uint8_t(std::clamp(sum >> kBits, 0, 255)); }

}  // namespace

Image resize(const Image& from, int64_t height, int64_t width, const std::string& filter,
             const Window& window) {
  constexpr const char* filters[] = {"nearest", "bilinear", "area", "bicubic", "lanczos"};
  if (std::find(std::begin(filters), std::end(filters), filter) == std::end(filters))
    fail(Fault::usage, "resize: expected one of {}, found \"{}\"", fmt::join(filters, ", "), filter);
  std::vector<Taps> down, across;
  for (int64_t y = 0; y < window.height; ++y)
    down.push_back(taps(filter, window.top + y, from.height, height));
  for (int64_t x = 0; x < window.width; ++x)
    across.push_back(taps(filter, window.left + x, from.width, width));

  // The first pass resizes only the source rows that the window needs.
  const int64_t first = down.front().first, rows = down.back().end() - first, row = window.width * 3;
  std::vector<uint8_t> narrow(size_t(rows * row));
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t x = 0; x < window.width; ++x) {
      const Taps& t = across[size_t(x)];
      const uint8_t* p = &from.bytes[size_t(((first + y) * from.width + t.first) * 3)];
      int32_t sum[3] = {1 << (kBits - 1), 1 << (kBits - 1), 1 << (kBits - 1)};
      for (const int32_t w : t.weights)
        for (int c = 0; c < 3; ++c) sum[c] += w * *p++;
      for (int c = 0; c < 3; ++c) narrow[size_t(y * row + x * 3 + c)] = to_byte(sum[c]);
    }

  Image to{window.height, window.width, std::vector<uint8_t>(size_t(window.height * row))};
  std::vector<int32_t> sums(static_cast<size_t>(row));
  for (int64_t y = 0; y < window.height; ++y) {
    const Taps& t = down[size_t(y)];
    std::fill(sums.begin(), sums.end(), 1 << (kBits - 1));
    for (size_t j = 0; j < t.weights.size(); ++j) {
      const uint8_t* p = &narrow[size_t((t.first - first + int64_t(j)) * row)];
      for (int64_t k = 0; k < row; ++k) sums[size_t(k)] += t.weights[j] * p[k];
    }
    std::transform(sums.begin(), sums.end(), &to.bytes[size_t(y * row)], to_byte);
  }
  return to;
}

}  // namespace dae
