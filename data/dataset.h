// Data sets: a number of examples, each a vector of floats that depends on its index alone.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/loader.h"

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual std::vector<int64_t> shape() const = 0;  // of one example: (H, W, C) or (D)
  virtual void get(int64_t index, float* out) const = 0;
  virtual int64_t label(int64_t) const { return -1; }
  virtual uint32_t hash() const = 0;  // CRC-32 of what was read or of what makes it
  const Batch* noise() const { return noise_.shape.empty() ? nullptr : &noise_; }

 protected:
  Batch noise_;
};

// CIFAR-10 in the binary layout: `path` is a folder with data_batch_1.bin .. 5, or one .bin file.
std::unique_ptr<Dataset> open_cifar10(const std::string& path);
// A safetensors file with `images`, F32 (N, C, H, W) in [-1, 1] or U8 (N, H, W, C), or F32 (N, D); optionally
// `noise`.
std::unique_ptr<Dataset> open_tensors(const std::string& path);
// Pictures of soft-edged discs, squares, rings and stripes on graded backgrounds; the label is the kind of
// shape.
std::unique_ptr<Dataset> open_procedural(uint64_t seed, int64_t size);
// Eight Gaussians on the unit circle, mapped to ten dimensions by a random orthogonal map; the label is the
// cluster.
std::unique_ptr<Dataset> open_toy(uint64_t seed, double variance, int64_t count);
