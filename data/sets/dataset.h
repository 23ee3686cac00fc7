// Data sets. The values of an example depend on its index and crop alone.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace dae {

struct NoiseRows {  // recorded noise (rows, width), row-major, in the order in which the steps draw it
  int64_t rows = 0, width = 0;
  std::vector<double> values;
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  virtual std::vector<int64_t> shape() const = 0;  // the shape of one example: (H, W, C) or (D)
  // Writes one example to `out`, row-major; images in [-1, 1]. `crop` holds random bits that place the crop
  // in an image larger than shape(); without it the crop is the middle. Not thread-safe.
  virtual void get(int64_t index, std::optional<uint32_t> crop, double* out) const = 0;
  virtual int64_t label(int64_t) const { return -1; }  // -1: the set has no labels
  // Returns pairs of a name and a CRC-32 for the manifest: of the data that were read, or of the settings
  // that generate them; for a folder also of the list of names.
  virtual std::vector<std::pair<std::string, uint32_t>> hashes() const = 0;
  // Returns how many files of the folder are not images that it reads, by their endings: "2 .gif, 1 .txt".
  virtual std::string skipped() const { return {}; }
  const NoiseRows& noise() const { return noise_; }  // no rows if the set has none

 protected:
  NoiseRows noise_;
};

// Opens CIFAR-10 in its binary layout. `path` is a folder with data_batch_1.bin to data_batch_5.bin, or one
// .bin file. Fault::data if the files are missing or damaged.
std::unique_ptr<Dataset> open_cifar10(const std::string& path);
// Opens a safetensors file with two tensors. Fault::data for other types, shapes or values.
//   images   F32 or F64 (N, C, H, W) in [-1, 1], U8 (N, H, W, C), or vectors: F32 or F64 (N, D)
//   noise    optional: F32 or F64 (rows, width)
std::unique_ptr<Dataset> open_tensors(const std::string& path);
// Opens the JPEG and PNG files below a folder, in the byte order of their paths. Each becomes size x size:
// the short side is resized to `size` by `filter` (resize.h), the long side in proportion, rounded; then a
// crop is taken. The middle crop begins at floor((long - size) / 2). The label is the number of the first
// folder of the file's path among the sorted names of such folders; -1 for a file directly in `path`. Opening
// reads and checks every file once, without decoding. Fault::data for a file that fails.
std::unique_ptr<Dataset> open_folder(const std::string& path, int64_t size, const std::string& filter);
struct ImageList {
  std::vector<std::string> names;
  std::string skipped;  // as Dataset::skipped()
};
// Returns the paths, relative to `root` and sorted, of the files that end in .jpg, .jpeg or .png (in any
// case). Names that begin with a dot are hidden: neither read nor counted. Fault::data if there is no image.
ImageList list_images(const std::string& root);
// Makes pictures of soft-edged discs, squares, rings and stripes on graded backgrounds. The label is the kind
// of shape.
std::unique_ptr<Dataset> open_procedural(uint64_t seed, int64_t size);
// Makes the training part of the toy mixture (toy.h). The label is the cluster.
std::unique_ptr<Dataset> open_toy(uint64_t seed, double variance, int64_t count);

}  // namespace dae
