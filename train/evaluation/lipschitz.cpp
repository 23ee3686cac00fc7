#include "train/evaluation/lipschitz.h"

#include <algorithm>
#include <cmath>

namespace dae {

namespace {

constexpr int64_t kChunk = 50;  // pairs at a time

Ratios ratios_of(const std::vector<double>& above, const std::vector<double>& below, const char* what) {
  std::vector<double> r;
  for (size_t i = 0; i < above.size(); ++i)
    if (below[i] > 0) r.push_back(above[i] / below[i]);
  if (r.empty())
    fail(Fault::data, "lipschitz: expected examples whose {} differ, found {} pairs of equal ones", what,
         above.size());
  double sum = 0;
  for (const double v : r) sum += v;
  std::sort(r.begin(), r.end());
  const auto at = [&](double share) {  // quantile, linear between the two nearest ratios
    const double place = share * double(r.size() - 1);
    const size_t low = size_t(place), high = std::min(low + 1, r.size() - 1);
    return r[low] + (place - double(low)) * (r[high] - r[low]);
  };
  return {sum / double(r.size()), at(0.5), at(0.95), int64_t(r.size())};
}

std::vector<double> distances(const Tensor& a, const Tensor& b, bool mean) {
  if (!(a.shape() == b.shape()))
    fail(Fault::internal, "lipschitz: shapes {} and {} differ", a.shape().str(), b.shape().str());
  const std::vector<double> x = a.values(), y = b.values();
  const size_t n = size_t(a.dim(0)), width = x.size() / n;
  std::vector<double> out(n, 0.0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = i * width; j < (i + 1) * width; ++j) out[i] += (x[j] - y[j]) * (x[j] - y[j]);
    out[i] = std::sqrt(mean ? out[i] / double(width) : out[i]);
  }
  return out;
}

}  // namespace

std::vector<double> l2_distances(const Tensor& a, const Tensor& b) { return distances(a, b, false); }
std::vector<double> rms_distances(const Tensor& a, const Tensor& b) { return distances(a, b, true); }

std::vector<Lipschitz> measure_lipschitz(
    int64_t count, const std::function<std::pair<Tensor, Tensor>(int64_t begin, int64_t count)>& pairs,
    const std::function<Tensor(const Tensor& x)>& encode,
    const std::function<Tensor(const Tensor& z)>& decode, const std::vector<Metric>& metrics) {
  struct Found {
    std::vector<double> x, z, y;
  };
  std::vector<Found> found(metrics.size());
  const auto append = [](std::vector<double>& to, const std::vector<double>& more) {
    to.insert(to.end(), more.begin(), more.end());
  };
  for (int64_t begin = 0; begin < count; begin += kChunk) {
    const auto [a, b] = pairs(begin, std::min(kChunk, count - begin));
    const Tensor za = encode(a), zb = encode(b), ya = decode(za), yb = decode(zb);
    for (size_t m = 0; m < metrics.size(); ++m) {
      append(found[m].x, metrics[m].images(a, b));
      append(found[m].z, metrics[m].latents(za, zb));
      append(found[m].y, metrics[m].images(ya, yb));
    }
  }
  std::vector<Lipschitz> out;
  for (size_t m = 0; m < metrics.size(); ++m)
    out.push_back({metrics[m].name, ratios_of(found[m].z, found[m].x, "images"),
                   ratios_of(found[m].y, found[m].z, "latents")});
  return out;
}

}  // namespace dae
