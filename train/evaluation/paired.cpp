#include "train/evaluation/paired.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <filesystem>

#include "data/images/pixel.h"
#include "data/images/resize.h"
#include "kernels/cpu/parallel.h"
#include "train/evaluation/features.h"
#include "train/io/logs.h"

namespace dae {

namespace {

constexpr int kWindow = 11;

std::array<double, kWindow> gaussian() {
  std::array<double, kWindow> weight;
  double sum = 0;
  for (int i = 0; i < kWindow; ++i)
    sum += weight[size_t(i)] = std::exp(-0.5 * (i - 5) * (i - 5) / (1.5 * 1.5));
  for (double& w : weight) w /= sum;
  return weight;
}

// Returns the weighted means over all windows inside the image: (h, w) -> (h - 10, w - 10).
std::vector<double> blur(const std::vector<double>& x, int64_t h, int64_t w) {
  static const std::array<double, kWindow> weight = gaussian();
  const int64_t oh = h - kWindow + 1, ow = w - kWindow + 1;
  std::vector<double> rows(size_t(h * ow), 0), out(size_t(oh * ow), 0);
  for (int64_t y = 0; y < h; ++y)
    for (int64_t i = 0; i < ow; ++i)
      for (int64_t k = 0; k < kWindow; ++k)
        rows[size_t(y * ow + i)] += weight[size_t(k)] * x[size_t(y * w + i + k)];
  for (int64_t y = 0; y < oh; ++y)
    for (int64_t k = 0; k < kWindow; ++k)
      for (int64_t i = 0; i < ow; ++i)
        out[size_t(y * ow + i)] += weight[size_t(k)] * rows[size_t((y + k) * ow + i)];
  return out;
}

Tensor tensor_of(const std::vector<Image>& images, const LpipsNetwork& network) {
  const int64_t n = int64_t(images.size()), values = images[0].height * images[0].width * 3;
  Tensor x({n, images[0].height, images[0].width, 3});
  for (int64_t i = 0; i < n; ++i)
    for (int64_t v = 0; v < values; ++v)
      x.data<float>()[i * values + v] = float(value_of_byte(images[size_t(i)].bytes[size_t(v)]));
  return x.to(network.model->heads[0].weight.value.dtype()).to(network.device);
}

std::string stem(const std::string& name) { return std::filesystem::path(name).replace_extension().string(); }

bool same_size(const Image& a, const Image& b) { return a.height == b.height && a.width == b.width; }

// Returns the smallest side of an image that the metric can take. For LPIPS one pixel must be left after all
// strides of the trunk.
int64_t smallest_side(PairMetric metric, const LpipsNetwork* network) {
  if (metric == PairMetric::psnr) return 1;
  if (metric == PairMetric::ssim) return kWindow;
  return network->net == LpipsNet::vgg ? 16 : network->net == LpipsNet::alex ? 31 : 25;
}

}  // namespace

double psnr(const Image& a, const Image& b) {
  double squares = 0;
  for (size_t i = 0; i < a.bytes.size(); ++i) {
    const double d = double(a.bytes[i]) - double(b.bytes[i]);
    squares += d * d;
  }
  return 10 * std::log10(255.0 * 255.0 * double(a.bytes.size()) / squares);
}

double ssim(const Image& a, const Image& b) {
  const int64_t h = a.height, w = a.width;
  const double c1 = 0.01 * 255 * 0.01 * 255, c2 = 0.03 * 255 * 0.03 * 255;
  double sum = 0;
  int64_t windows = 0;
  for (int64_t c = 0; c < 3; ++c) {
    std::vector<double> x, y, xx, yy, xy;
    for (int64_t i = 0; i < h * w; ++i) {
      const double p = double(a.bytes[size_t(i * 3 + c)]), q = double(b.bytes[size_t(i * 3 + c)]);
      x.push_back(p), y.push_back(q), xx.push_back(p * p), yy.push_back(q * q), xy.push_back(p * q);
    }
    x = blur(x, h, w), y = blur(y, h, w), xx = blur(xx, h, w), yy = blur(yy, h, w), xy = blur(xy, h, w);
    for (size_t i = 0; i < x.size(); ++i, ++windows) {
      const double mean = x[i] * x[i] + y[i] * y[i], both = x[i] * y[i];
      sum += (2 * both + c1) * (2 * (xy[i] - both) + c2) / ((mean + c1) * (xx[i] + yy[i] - mean + c2));
    }
  }
  return sum / double(windows);
}

std::vector<double> lpips(const LpipsNetwork& network, const std::vector<Image>& a,
                          const std::vector<Image>& b) {
  const NoGrad off;
  return (*network.model)(tensor_of(a, network), tensor_of(b, network)).values();
}

PairScores compare_pairs(PairMetric metric, ImageSet& a, ImageSet& b, const LpipsNetwork* network,
                         int64_t count, bool resize, bool quiet) {
  constexpr int64_t kBatch = 16;
  if (count == 0 && a.size() != b.size())
    fail(Fault::data, "pairs: expected as many images on either side, found {} and {}; see --count", a.size(),
         b.size());
  if (count == 0) count = a.size();
  if (count > std::min(a.size(), b.size()))
    fail(Fault::usage, "--count: expected at most {}, the pairs there are, found {}",
         std::min(a.size(), b.size()), count);
  const auto name = [&](int64_t i) {
    return a.name(i).empty() ? b.name(i).empty() ? fmt::format("pair {}", i) : b.name(i) : a.name(i);
  };
  for (int64_t i = 0; i < count; ++i)
    if (!a.name(i).empty() && !b.name(i).empty() && stem(a.name(i)) != stem(b.name(i)))
      fail(Fault::data, "pairs: expected the same names on either side, found {} beside {}", a.name(i),
           b.name(i));
  const int64_t smallest = smallest_side(metric, network);
  PairScores out;
  out.values.resize(size_t(count));
  ProgressLine progress(0, count, 1, quiet, "pair");
  double reading = 0;
  uint32_t crc_a = 0, crc_b = 0;
  for (int64_t done = 0; done < count;) {
    const double began = progress.seconds();
    const int64_t n = std::min(kBatch, count - done);
    std::vector<Image> x = a.read(done, done + n), y = b.read(done, done + n);
    for (int64_t i = 0; i < n; ++i) {
      Image &p = x[size_t(i)], &q = y[size_t(i)];
      crc_a = crc_of_image(p, crc_a), crc_b = crc_of_image(q, crc_b);
      if (!same_size(p, q) && !resize)
        fail(Fault::data,
             "pairs: {}: expected one size on either side, found {}x{} beside {}x{}; --resize "
             "brings the first to the second's",
             name(done + i), p.width, p.height, q.width, q.height);
      if (!same_size(p, q)) p = dae::resize(p, q.height, q.width, "bicubic", {0, 0, q.height, q.width});
      if (std::min(q.height, q.width) < smallest)
        fail(Fault::data, "pairs: {}: expected images of at least {}x{} for this metric, found {}x{}",
             name(done + i), smallest, smallest, q.width, q.height);
    }
    reading += progress.seconds() - began;
    double* const values = out.values.data() + done;
    if (metric == PairMetric::lpips)
      for (int64_t i = 0, end = 1; i < n; i = end++) {  // pairs of one size go in one batch
        while (end < n && same_size(y[size_t(i)], y[size_t(end)])) ++end;
        const std::vector<double> some =
            lpips(*network, {x.begin() + i, x.begin() + end}, {y.begin() + i, y.begin() + end});
        std::copy(some.begin(), some.end(), values + i);
      }
    else
      parallel_for(n, 1, [&](int64_t i, int64_t) {
        values[i] = (metric == PairMetric::psnr ? psnr : ssim)(x[size_t(i)], y[size_t(i)]);
      });
    const bool tenth = (done + n) * 10 / count > done * 10 / count;
    progress.show(done += n, reading, {}, tenth);
  }
  progress.finish();
  for (const double v : out.values) out.mean += v / double(count);
  out.crc32_a = fmt::format("{:08x}", crc_a), out.crc32_b = fmt::format("{:08x}", crc_b);
  return out;
}

}  // namespace dae
