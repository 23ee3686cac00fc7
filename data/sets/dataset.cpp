#include "data/sets/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "data/files/file.h"
#include "data/files/safetensors.h"
#include "data/images/pixel.h"
#include "data/sets/toy.h"
#include "data/streams.h"
#include "kernels/device/error.h"
#include "kernels/device/philox.h"

namespace dae {

namespace {

class Cifar10 : public Dataset {
 public:
  explicit Cifar10(const std::string& path) {
    std::vector<std::string> files;
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
      for (int i = 1; i <= 5; ++i) files.push_back(path + "/data_batch_" + std::to_string(i) + ".bin");
    else files.push_back(path);
    for (const std::string& file : files) {
      const std::string content = read_file(file, kFile);
      if (int64_t(content.size()) != kFile)
        fail(Fault::data, "{}: expected {} bytes of a CIFAR-10 batch, found {}; fetch it again", file, kFile,
             content.size());
      for (int64_t i = 0; i < kFile; i += kRecord)
        if (uint8_t(content[size_t(i)]) > 9)
          fail(Fault::data, "{}: record {}: expected a label from 0 to 9, found {}", file, i / kRecord,
               int(uint8_t(content[size_t(i)])));
      bytes_ += content;
    }
  }
  int64_t size() const override { return int64_t(bytes_.size()) / kRecord; }
  std::vector<int64_t> shape() const override { return {32, 32, 3}; }
  void get(int64_t index, std::optional<uint32_t>, double* out) const override {
    const auto* record = reinterpret_cast<const uint8_t*>(bytes_.data()) + index * kRecord + 1;
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t p = 0; p < 1024; ++p) out[p * 3 + c] = value_of_byte(uint8_t(record[c * 1024 + p]));
  }
  int64_t label(int64_t index) const override { return uint8_t(bytes_[size_t(index * kRecord)]); }
  std::vector<std::pair<std::string, uint32_t>> hashes() const override {
    return {{"crc32", crc_of(bytes_)}};
  }

 private:
  static constexpr int64_t kRecord = 3073, kFile = 30730000;
  std::string bytes_;
};

// Returns element i of a tensor of bytes, floats or doubles.
double element(const TensorEntry& tensor, int64_t i) {
  const auto read = [&](auto value) {
    std::memcpy(&value, static_cast<const char*>(tensor.bytes) + size_t(i) * sizeof value, sizeof value);
    return double(value);
  };
  return tensor.dtype == "U8" ? read(uint8_t{}) : tensor.dtype == "F32" ? read(float{}) : read(double{});
}

class Tensors : public Dataset {
 public:
  explicit Tensors(const std::string& path) : file_(path), images_(file_.find("images")) {
    if (!images_) fail(Fault::data, "{}: expected a tensor named images, found none", path);
    const auto is_float = [](const TensorEntry& t) { return t.dtype == "F32" || t.dtype == "F64"; };
    const auto& s = images_->shape;
    bytes_ = images_->dtype == "U8";
    if ((!bytes_ && !is_float(*images_)) || (s.size() != 4 && (bytes_ || s.size() != 2)) ||
        images_->size == 0)
      fail(Fault::data,
           "{}: images: expected F32 or F64 (N, C, H, W) or (N, D), or U8 (N, H, W, C), found {} ({})", path,
           images_->dtype, fmt::join(s, ", "));
    if (s.size() == 2) shape_ = {s[1]};
    else if (bytes_) shape_ = {s[1], s[2], s[3]};
    else shape_ = {s[2], s[3], s[1]};
    if (const TensorEntry* noise = file_.find("noise")) {
      if (!is_float(*noise) || noise->shape.size() != 2 || noise->size == 0)
        fail(Fault::data, "{}: noise: expected F32 or F64 (rows, width), found {} ({})", path, noise->dtype,
             fmt::join(noise->shape, ", "));
      noise_.rows = noise->shape[0], noise_.width = noise->shape[1];
      for (int64_t i = 0; i < noise_.rows * noise_.width; ++i) {
        noise_.values.push_back(element(*noise, i));
        if (!std::isfinite(noise_.values.back()))
          fail(Fault::data, "{}: noise: row {}: expected finite values, found {}", path, i / noise_.width,
               noise_.values.back());
      }
    }
    if (!bytes_) check_values(path, s);
  }
  int64_t size() const override { return images_->shape[0]; }
  std::vector<int64_t> shape() const override { return shape_; }
  void get(int64_t index, std::optional<uint32_t>, double* out) const override {
    const int64_t channels = shape_.back(), pixels = shape_.size() == 3 ? shape_[0] * shape_[1] : 1;
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t at = bytes_ ? p * channels + c : c * pixels + p;
        const double value = element(*images_, index * pixels * channels + at);
        out[p * channels + c] = bytes_ ? value_of_byte(uint8_t(value)) : value;
      }
  }
  std::vector<std::pair<std::string, uint32_t>> hashes() const override {
    return {{"crc32", crc_of(file_.content())}};
  }

 private:
  void check_values(const std::string& path, const std::vector<int64_t>& shape) const {
    // The limit for images leaves room for rounding.
    const double most = shape.size() == 4 ? 1.001 : std::numeric_limits<double>::max();
    const int64_t count = byte_size(1, shape);
    for (int64_t i = 0; i < count; ++i)
      if (const double v = element(*images_, i); !(std::abs(v) <= most))
        fail(Fault::data, "{}: images: example {}: expected finite values{}, found {}{}", path,
             i / (count / shape[0]), shape.size() == 4 ? " in [-1, 1]" : "", v,
             shape.size() == 4 && std::isfinite(v) ? "; bytes are U8 (N, H, W, C)" : "");
  }
  Safetensors file_;
  const TensorEntry* images_;
  bool bytes_ = false;
  std::vector<int64_t> shape_;
};

class Procedural : public Dataset {
 public:
  Procedural(uint64_t seed, int64_t side) : key_{seed, kProceduralStep, 0}, side_(side) {}
  int64_t size() const override { return 50000; }
  std::vector<int64_t> shape() const override { return {side_, side_, 3}; }
  int64_t label(int64_t index) const override { return int64_t(random_bits(key_, uint64_t(index) * 32) % 4); }
  void get(int64_t index, std::optional<uint32_t>, double* out) const override {
    const auto u = [&](int i) { return unit_uniform(random_bits(key_, uint64_t(index) * 32 + uint64_t(i))); };
    const int64_t kind = label(index);
    const float cx = 0.25f + 0.5f * u(1), cy = 0.25f + 0.5f * u(2), radius = 0.12f + 0.2f * u(3),
                angle = 6.2831853f * u(4);
    const float tilt = 6.2831853f * u(5), edge = float(side_) * 0.8f;
    for (int64_t y = 0; y < side_; ++y)
      for (int64_t x = 0; x < side_; ++x) {
        const float px = (float(x) + 0.5f) / float(side_), py = (float(y) + 0.5f) / float(side_);
        const float dx = (px - cx) * std::cos(angle) + (py - cy) * std::sin(angle);
        const float dy = (py - cy) * std::cos(angle) - (px - cx) * std::sin(angle);
        const float r = std::sqrt(dx * dx + dy * dy), box = std::max(std::fabs(dx), std::fabs(dy));
        const float distance = kind == 0   ? r - radius
                               : kind == 1 ? box - 0.85f * radius
                               : kind == 2 ? std::fabs(r - radius) - 0.3f * radius
                                           : std::max(box - 1.1f * radius, 0.07f * std::sin(dx * 40.0f));
        const float inside = 1 / (1 + std::exp(edge * distance)),
                    grade = (px - 0.5f) * std::cos(tilt) + (py - 0.5f) * std::sin(tilt);
        for (int c = 0; c < 3; ++c) {
          const float back = 2 * u(8 + c) - 1 + grade * (u(12 + c) - 0.5f), front = 2 * u(16 + c) - 1;
          out[(y * side_ + x) * 3 + c] = double(std::clamp(back + inside * (front - back), -1.0f, 1.0f));
        }
      }
  }
  std::vector<std::pair<std::string, uint32_t>> hashes() const override {
    return {{"crc32", crc_of(fmt::format("procedural, seed {}, side {}", key_.seed, side_))}};
  }

 private:
  Key key_;
  int64_t side_;
};

class Toy : public Dataset {
 public:
  Toy(uint64_t seed, double variance, int64_t count) : data_(make_toy({variance}, count, seed, 0)) {}
  int64_t size() const override { return data_.count(); }
  std::vector<int64_t> shape() const override { return {data_.dim}; }
  int64_t label(int64_t index) const override { return data_.label[size_t(index)]; }
  void get(int64_t index, std::optional<uint32_t>, double* out) const override {
    std::copy_n(data_.x.begin() + index * data_.dim, data_.dim, out);
  }
  std::vector<std::pair<std::string, uint32_t>> hashes() const override {
    return {
        {"crc32", crc_of({reinterpret_cast<const char*>(data_.x.data()), data_.x.size() * sizeof(float)})}};
  }

 private:
  ToyData data_;
};

}  // namespace

std::unique_ptr<Dataset> open_cifar10(const std::string& path) { return std::make_unique<Cifar10>(path); }
std::unique_ptr<Dataset> open_tensors(const std::string& path) { return std::make_unique<Tensors>(path); }
std::unique_ptr<Dataset> open_procedural(uint64_t seed, int64_t size) {
  return std::make_unique<Procedural>(seed, size);
}
std::unique_ptr<Dataset> open_toy(uint64_t seed, double variance, int64_t count) {
  return std::make_unique<Toy>(seed, variance, count);
}

}  // namespace dae
