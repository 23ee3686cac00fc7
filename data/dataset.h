// Data sets: a number of examples, each a vector of numbers that depends on its index (and crop) alone.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

struct NoiseRows {  // recorded noise, row-major, in the order in which the steps draw it
  int64_t rows = 0, width = 0;
  std::vector<double> values;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual std::vector<int64_t> shape() const = 0;  // of one example: (H, W, C) or (D)
  // Images in [-1, 1]. crop: random bits that place the cut-out of an image with room to spare; none: its
  // middle. From one thread at a time.
  virtual void get(int64_t index, std::optional<uint32_t> crop, double* out) const = 0;
  virtual int64_t label(int64_t) const { return -1; }
  // CRC-32 of what was read, or of what makes it; a folder's list of names besides. For the manifest.
  virtual std::vector<std::pair<std::string, uint32_t>> hashes() const = 0;
  // Files of a folder that are no images it reads, counted by their endings: "2 .gif, 1 .txt"; or empty.
  virtual std::string skipped() const { return {}; }
  const NoiseRows& noise() const { return noise_; }  // no rows: there is none

 protected:
  NoiseRows noise_;
};

// CIFAR-10 in the binary layout: `path` is a folder with data_batch_1.bin .. 5, or one .bin file.
std::unique_ptr<Dataset> open_cifar10(const std::string& path);
// A safetensors file with `images`, F32 or F64 (N, C, H, W) in [-1, 1], U8 (N, H, W, C), or F32 or F64 (N,
// D); optionally `noise`, F32 or F64 (rows, width).
std::unique_ptr<Dataset> open_tensors(const std::string& path);
// JPEG and PNG files under a folder, sorted by their paths in it byte by byte, made size x size: the short
// side is resized to `size` by the filter (resize.h), the long side in proportion, rounded; then a crop, the
// middle one beginning at floor((long - size) / 2). The label is the number of the file's first subfolder
// among their sorted names, or -1 without one. Opening reads and checks every file once, without decoding.
std::unique_ptr<Dataset> open_folder(const std::string& path, int64_t size, const std::string& filter);
// The paths below `root` that it reads: .jpg, .jpeg and .png in any case, sorted. Fault::data if none. Names
// that begin with a dot are hidden: neither read nor counted.
struct ImageList {
  std::vector<std::string> names;
  std::string skipped;  // Dataset::skipped()
};
ImageList list_images(const std::string& root);
// Pictures of soft-edged discs, squares, rings and stripes on graded backgrounds; the label is the kind of
// shape.
std::unique_ptr<Dataset> open_procedural(uint64_t seed, int64_t size);
// The training part of the toy mixture (toy.h); the label is the cluster.
std::unique_ptr<Dataset> open_toy(uint64_t seed, double variance, int64_t count);
