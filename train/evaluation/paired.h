// Metrics of pairs of images: an image and the one that it should equal.
#pragma once
#include <functional>
#include <vector>

#include "data/sets/image_set.h"
#include "train/evaluation/networks.h"

namespace dae {

// Returns the peak signal-to-noise ratio in dB, 10 log10(255^2 / MSE) over the bytes. Infinite for equal
// images. Both images have the same size.
double psnr(const Image& a, const Image& b);

// Returns the structural similarity of two images of the same size, at least 11x11 (Wang et al. 2004),
// computed on bytes: Gaussian windows of 11x11 with sigma 1.5, biased moments, K1 = 0.01, K2 = 0.03. The
// result is the mean over all windows inside the image and the three channels.
double ssim(const Image& a, const Image& b);

// Returns the LPIPS distance of each pair a[i], b[i]. All images have one size. The network sees byte / 127.5
// - 1.
std::vector<double> lpips(const LpipsNetwork& network, const std::vector<Image>& a,
                          const std::vector<Image>& b);

enum class PairMetric { psnr, ssim, lpips };
struct PairScores {
  std::vector<double> values;
  double mean = 0;
  std::string crc32_a, crc32_b;  // of the images before any resize, as Features::crc32
};
// Returns the scores of the first `count` images (0: all) of `a` beside those of `b`, paired in order. If
// both sets have names, the names of a pair must be equal up to their extensions. resize: an image of `a` is
// first resized to the size of its partner (bicubic, antialiased); without it two sizes are an error. Throws
// Fault::usage or Fault::data, one line with the name.
PairScores compare_pairs(PairMetric metric, ImageSet& a, ImageSet& b, const LpipsNetwork* network,
                         int64_t count, bool resize, bool quiet);

}  // namespace dae
