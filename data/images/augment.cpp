#include "data/images/augment.h"

#include <algorithm>
#include <cmath>

namespace dae {

namespace {

// The places of an example's random numbers. Each number has a place of its own, whether it is used or not.
constexpr uint64_t kTries = 10, kCrop = 0, kFlip = 4 * kTries, kApply = kFlip + 1, kStrength = kApply + 1,
                   kOrder = kStrength + 4, kGrey = kOrder + 3, kPlaces = 64;

// The two source pixels around the centre of target pixel i, where `out` target pixels lie over `in` source
// pixels, and the weight of the second one.
struct Between {
  int64_t a, b;
  double weight;
};
Between between(int64_t i, int64_t in, int64_t out) {
  const double at = std::clamp((double(i) + 0.5) * double(in) / double(out) - 0.5, 0.0, double(in - 1));
  const auto a = int64_t(at);
  return {a, std::min(a + 1, in - 1), at - double(a)};
}

void crop_and_flip(const Augmentation& how, int64_t height, int64_t width, std::vector<double>& image) {
  const Window& w = how.crop;
  std::vector<double> out(image.size());
  const auto pixel = [&](int64_t y, int64_t x) {
    return &image[size_t(((w.top + y) * width + w.left + x) * 3)];
  };
  for (int64_t x = 0; x < width; ++x) {
    const Between across = between(how.flip ? width - 1 - x : x, w.width, width);
    for (int64_t y = 0; y < height; ++y) {
      const Between down = between(y, w.height, height);
      const double *aa = pixel(down.a, across.a), *ab = pixel(down.a, across.b),
                   *ba = pixel(down.b, across.a), *bb = pixel(down.b, across.b);
      for (int c = 0; c < 3; ++c) {
        const double top = aa[c] + across.weight * (ab[c] - aa[c]),
                     bottom = ba[c] + across.weight * (bb[c] - ba[c]);
        out[size_t((y * width + x) * 3 + c)] = top + down.weight * (bottom - top);
      }
    }
  }
  image = std::move(out);
}

// ---- colours: values in [0, 1] ----------------------------------------------------------------------------

double grey_of(const double* p) { return 0.2989 * p[0] + 0.587 * p[1] + 0.114 * p[2]; }
double clamped(double v) { return std::clamp(v, 0.0, 1.0); }

// Replaces every value v by factor v + (1 - factor) other(pixel), clamped to [0, 1]. other(pixel) is one
// value for the three channels.
template <class Other>
void blend(std::vector<double>& image, double factor, const Other& other) {
  for (size_t i = 0; i < image.size(); i += 3) {
    const double rest = (1 - factor) * other(&image[i]);
    for (size_t c = 0; c < 3; ++c) image[i + c] = clamped(factor * image[i + c] + rest);
  }
}

double mean_grey(const std::vector<double>& image) {
  double sum = 0;
  for (size_t i = 0; i < image.size(); i += 3) sum += grey_of(&image[i]);
  return sum / double(image.size() / 3);
}

// Converts a pixel to hue, saturation and value (Smith 1978), adds `turns` to the hue, and converts it back.
void shift_hue(double* p, double turns) {
  const double high = std::max({p[0], p[1], p[2]}), low = std::min({p[0], p[1], p[2]}), range = high - low;
  if (range == 0) return;
  const double to_red = (high - p[0]) / range, to_green = (high - p[1]) / range,
               to_blue = (high - p[2]) / range;
  double sixths = high == p[0]   ? to_blue - to_green
                  : high == p[1] ? 2 + to_red - to_blue
                                 : 4 + to_green - to_red;
  sixths += 6 * turns;
  sixths -= 6 * std::floor(sixths / 6);
  const double sector = std::floor(sixths), f = sixths - sector, s = range / high;
  const double falling = clamped(high * (1 - s * f)), rising = clamped(high * (1 - s * (1 - f)));
  switch (int(sector) % 6) {
    case 0:
      p[0] = high, p[1] = rising, p[2] = low;
      break;
    case 1:
      p[0] = falling, p[1] = high, p[2] = low;
      break;
    case 2:
      p[0] = low, p[1] = high, p[2] = rising;
      break;
    case 3:
      p[0] = low, p[1] = falling, p[2] = high;
      break;
    case 4:
      p[0] = rising, p[1] = low, p[2] = high;
      break;
    default:
      p[0] = high, p[1] = low, p[2] = falling;
      break;
  }
}

void jitter(std::vector<double>& image, Augmentation::Jitter what, double strength) {
  switch (what) {
    case Augmentation::brightness:
      return blend(image, strength, [](const double*) { return 0.0; });
    case Augmentation::contrast:
      return blend(image, strength, [m = mean_grey(image)](const double*) { return m; });
    case Augmentation::saturation:
      return blend(image, strength, grey_of);
    case Augmentation::hue:
      for (size_t i = 0; i < image.size(); i += 3) shift_hue(&image[i], strength);
  }
}

}  // namespace

Augmentation draw_augmentation(Key key, uint64_t example, int64_t height, int64_t width) {
  const auto bits = [&](uint64_t place) { return random_bits(key, example * kPlaces + place); };
  const auto unit = [&](uint64_t place) { return double(unit_uniform(bits(place))); };
  const auto range = [&](uint64_t place, double low, double high) {
    return low + (high - low) * unit(place);
  };
  const auto below = [&](uint64_t place, int64_t n) {
    return int64_t((uint64_t(bits(place)) * uint64_t(n)) >> 32);
  };

  Augmentation how;
  // If no try fits, the crop is the whole image, as in torchvision for an image whose ratio is 3/4 to 4/3.
  how.crop = {0, 0, height, width};
  for (uint64_t at = kCrop; at < kCrop + 4 * kTries; at += 4) {
    const double area = double(height * width) * range(at, 0.08, 1);
    const double ratio = std::exp(range(at + 1, std::log(3.0 / 4), std::log(4.0 / 3)));
    const int64_t w = std::llround(std::sqrt(area * ratio)), h = std::llround(std::sqrt(area / ratio));
    if (w < 1 || w > width || h < 1 || h > height) continue;
    how.crop = {below(at + 2, height - h + 1), below(at + 3, width - w + 1), h, w};
    break;
  }
  how.flip = unit(kFlip) < 0.5;
  how.jitter = unit(kApply) < 0.8;
  for (uint64_t i = 0; i < 3; ++i) how.strength[i] = range(kStrength + i, 0.6, 1.4);
  how.strength[Augmentation::hue] = range(kStrength + 3, -0.1, 0.1);
  for (uint64_t i = 3; i > 0; --i)
    std::swap(how.order[i], how.order[size_t(below(kOrder + i - 1, int64_t(i) + 1))]);
  how.grey = unit(kGrey) < 0.2;
  return how;
}

void augment(const Augmentation& how, int64_t height, int64_t width, std::vector<double>& image) {
  crop_and_flip(how, height, width, image);
  if (!how.jitter && !how.grey) return;
  for (double& v : image) v = clamped(0.5 * v + 0.5);
  if (how.jitter)
    for (const Augmentation::Jitter what : how.order) jitter(image, what, how.strength[what]);
  if (how.grey) blend(image, 0, grey_of);
  for (double& v : image) v = 2 * v - 1;
}

}  // namespace dae
