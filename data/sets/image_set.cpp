#include "data/sets/image_set.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

#include "data/files/file.h"
#include "data/files/npz.h"
#include "data/images/pixel.h"
#include "data/sets/dataset.h"
#include "kernels/cpu/parallel.h"
#include "kernels/device/error.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

class ImageFiles : public ImageSet {
 public:
  explicit ImageFiles(const std::string& root) : root_(root), list_(list_images(root)) {}
  int64_t size() const override { return int64_t(list_.names.size()); }
  std::string skipped() const override { return list_.skipped; }
  std::string name(int64_t i) const override { return list_.names[size_t(i)]; }
  std::vector<Image> read(int64_t begin, int64_t end) override {
    std::vector<Image> out(size_t(end - begin));
    parallel_for(end - begin, 1, [&](int64_t i, int64_t) {
      const std::string path = root_ + "/" + list_.names[size_t(begin + i)];
      out[size_t(i)] = decode_image(path, read_file(path));
    });
    return out;
  }

 private:
  std::string root_;
  ImageList list_;
};

class ImageBytes : public ImageSet {
 public:
  ImageBytes(std::vector<uint8_t> bytes, int64_t height, int64_t width, int64_t channels)
      : bytes_(std::move(bytes)), height_(height), width_(width), channels_(channels) {}
  int64_t size() const override { return int64_t(bytes_.size()) / (height_ * width_ * channels_); }
  std::vector<Image> read(int64_t begin, int64_t end) override {
    std::vector<Image> out;
    for (int64_t i = begin; i < end; ++i)
      out.push_back(image_of(bytes_.data() + i * height_ * width_ * channels_, height_, width_, channels_));
    return out;
  }

 private:
  std::vector<uint8_t> bytes_;
  int64_t height_, width_, channels_;
};

std::unique_ptr<ImageSet> open_array(const std::string& path, std::string content) {
  const Npz file(path, std::move(content));
  const TensorEntry* array = file.find("arr_0");
  if (!array)
    fail(Fault::data, "{}: expected an array arr_0 with the images, found {}", path,
         file.entries().empty() ? "none"
                                : file.entries()[0].name + (file.entries().size() > 1 ? ", ..." : ""));
  const std::vector<int64_t>& s = array->shape;
  if (array->dtype != "U8" || s.size() != 4 || s[1] < 1 || s[2] < 1 || (s[3] != 1 && s[3] != 3))
    fail(Fault::data, "{}: arr_0: expected uint8 images (N, H, W, C) with 1 or 3 channels, found {} ({})",
         path, array->dtype, fmt::join(s, ", "));
  if (s[0] == 0) fail(Fault::data, "{}: arr_0: expected images, found none", path);
  const auto* bytes = static_cast<const uint8_t*>(array->bytes);
  return images_of({bytes, bytes + array->size}, s[1], s[2], s[3]);
}

std::unique_ptr<ImageSet> open_cifar(const std::string& path) {
  const std::unique_ptr<Dataset> data = open_cifar10(path);
  std::vector<double> values(32 * 32 * 3);
  std::vector<uint8_t> bytes;
  for (int64_t i = 0; i < data->size(); ++i) {
    data->get(i, {}, values.data());
    for (const double v : values) bytes.push_back(byte_of_value(v));
  }
  return images_of(std::move(bytes), 32, 32, 3);
}

}  // namespace

Image image_of(const uint8_t* pixels, int64_t height, int64_t width, int64_t channels) {
  Image out{height, width, {}};
  out.bytes.resize(size_t(height * width * 3));
  for (int64_t i = 0; i < height * width; ++i)
    for (int64_t c = 0; c < 3; ++c)
      out.bytes[size_t(i * 3 + c)] = pixels[i * channels + (channels == 3 ? c : 0)];
  return out;
}

std::unique_ptr<ImageSet> images_of(std::vector<uint8_t> bytes, int64_t height, int64_t width,
                                    int64_t channels) {
  return std::make_unique<ImageBytes>(std::move(bytes), height, width, channels);
}

std::unique_ptr<ImageSet> open_images(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    if (fs::exists(path + "/data_batch_1.bin", ignored)) return open_cifar(path);
    return std::make_unique<ImageFiles>(path);
  }
  if (fs::path(path).extension() == ".bin") return open_cifar(path);
  std::string content = read_file(path);
  if (is_zip(content) || is_npy(content)) return open_array(path, std::move(content));
  if (content.starts_with("\x89PNG") || content.starts_with("\xff\xd8")) {
    const Image image = decode_image(path, content);
    return images_of(image.bytes, image.height, image.width, 3);
  }
  fail(Fault::data,
       "{}: expected a folder of images, a PNG or JPEG file, .npz with arr_0, CIFAR-10's .bin, saved "
       "statistics "
       "or a run, found none of them",
       path);
}

}  // namespace dae
