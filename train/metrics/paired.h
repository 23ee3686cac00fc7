// Scores of an image beside the one it should be.
#pragma once
#include <functional>
#include <vector>

#include "data/image_set.h"
#include "train/metrics/networks.h"

// 10 log10(255^2 / mean squared error of a byte), in dB; infinite for equal images.
double psnr(const Image& a, const Image& b);

// Structural similarity (Wang et al. 2004) of bytes: Gaussian windows of 11x11, sigma 1.5, biased moments,
// K1 = 0.01, K2 = 0.03; the mean over the windows inside the image and the three channels. Both images are at
// least 11x11.
double ssim(const Image& a, const Image& b);

// LPIPS of pairs of one size, values in [-1, 1] as byte / 127.5 - 1.
std::vector<double> lpips(const LpipsNetwork& network, const std::vector<Image>& a,
                          const std::vector<Image>& b);

enum class PairMetric { psnr, ssim, lpips };
struct PairScores {
  std::vector<double> values;
  double mean = 0;
  std::string crc32_a, crc32_b;  // as Features::crc32, of the images as they came
};
// The first `count` images (0: all) of either set, one beside the other in order; if both have names, they
// must be the same up to their extensions. resize: an image of a is brought to the size of its partner
// (bicubic, antialiased); otherwise another size is an error. Fault::usage or Fault::data, one line with the
// name.
PairScores compare_pairs(PairMetric metric, ImageSet& a, ImageSet& b, const LpipsNetwork* network,
                         int64_t count, bool resize, bool quiet);
