#include "data/dataset.h"

#include <zlib.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "data/file.h"
#include "data/safetensors.h"
#include "kernels/error.h"
#include "kernels/philox.h"

namespace {

uint32_t crc_of(const std::string& bytes) {
  return uint32_t(crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), uInt(bytes.size())));
}

class Cifar10 : public Dataset {
 public:
  explicit Cifar10(const std::string& path) {
    std::vector<std::string> files;
    if (std::filesystem::is_directory(path))
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
  void get(int64_t index, float* out) const override {
    const auto* record = reinterpret_cast<const uint8_t*>(bytes_.data()) + index * kRecord + 1;
    for (int64_t c = 0; c < 3; ++c)
      for (int64_t p = 0; p < 1024; ++p) out[p * 3 + c] = float(record[c * 1024 + p]) / 127.5f - 1;
  }
  int64_t label(int64_t index) const override { return uint8_t(bytes_[size_t(index * kRecord)]); }
  uint32_t hash() const override { return crc_of(bytes_); }

 private:
  static constexpr int64_t kRecord = 3073, kFile = 30730000;
  std::string bytes_;
};

class Tensors : public Dataset {
 public:
  explicit Tensors(const std::string& path) {
    const Safetensors file(path);
    const TensorEntry* images = file.find("images");
    if (!images) fail(Fault::data, "{}: expected a tensor named images, found none", path);
    const auto& s = images->shape;
    const bool bytes = images->dtype == "U8";
    if ((!bytes && images->dtype != "F32") || (s.size() != 4 && !(s.size() == 2 && !bytes)) || s[0] < 1)
      fail(Fault::data,
           "{}: images: expected F32 (N, C, H, W) or (N, D), or U8 (N, H, W, C), found {} of rank {}", path,
           images->dtype, s.size());
    count_ = s[0];
    if (s.size() == 2) shape_ = {s[1]};
    else if (bytes) shape_ = {s[1], s[2], s[3]};
    else shape_ = {s[2], s[3], s[1]};
    const int64_t pixels = s.size() == 4 ? shape_[0] * shape_[1] : 1, channels = shape_.back(),
                  each = pixels * channels;
    values_.resize(size_t(count_ * each));
    const auto* u8 = static_cast<const uint8_t*>(images->bytes);
    for (int64_t n = 0; n < count_; ++n)
      for (int64_t p = 0; p < pixels; ++p)
        for (int64_t c = 0; c < channels; ++c) {
          float& to = values_[size_t(n * each + p * channels + c)];
          if (bytes) to = float(u8[n * each + p * channels + c]) / 127.5f - 1;
          else std::memcpy(&to, static_cast<const char*>(images->bytes) + 4 * (n * each + c * pixels + p), 4);
        }
    if (const TensorEntry* noise = file.find("noise")) {
      if (noise->dtype != "F32" || noise->shape.size() != 2)
        fail(Fault::data, "{}: noise: expected F32 (rows, z), found {} of rank {}", path, noise->dtype,
             noise->shape.size());
      noise_.shape = noise->shape;
      noise_.values.resize(noise->size / 4);
      std::memcpy(noise_.values.data(), noise->bytes, noise->size);
    }
    hash_ = crc_of(read_file(path));
  }
  int64_t size() const override { return count_; }
  std::vector<int64_t> shape() const override { return shape_; }
  void get(int64_t index, float* out) const override {
    const int64_t each = int64_t(values_.size()) / count_;
    std::copy_n(values_.data() + index * each, each, out);
  }
  uint32_t hash() const override { return hash_; }

 private:
  std::vector<float> values_;
  std::vector<int64_t> shape_;
  int64_t count_ = 0;
  uint32_t hash_ = 0;
};

class Procedural : public Dataset {
 public:
  Procedural(uint64_t seed, int64_t side) : key_{seed, 0, 0}, side_(side) {}
  int64_t size() const override { return 50000; }
  std::vector<int64_t> shape() const override { return {side_, side_, 3}; }
  int64_t label(int64_t index) const override { return int64_t(random_bits(key_, uint64_t(index) * 32) % 4); }
  void get(int64_t index, float* out) const override {
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
          out[(y * side_ + x) * 3 + c] = std::min(1.0f, std::max(-1.0f, back + inside * (front - back)));
        }
      }
  }
  uint32_t hash() const override { return uint32_t(key_.seed) ^ uint32_t(side_); }

 private:
  Key key_;
  int64_t side_;
};

class Toy : public Dataset {
 public:
  Toy(uint64_t seed, double variance, int64_t count)
      : key_{seed, 0, 0}, deviation_(std::sqrt(variance)), count_(count) {
    // Two orthonormal directions of ten dimensions, by Gram-Schmidt on normals.
    float z[20];
    for (uint64_t b = 0; b < 5; ++b) normal4(random4(Key{seed, 1, 0}, b), z + 4 * b);
    double dot = 0;
    for (int pass = 0; pass < 2; ++pass)
      for (int i = 0; i < 10; ++i) map_[pass][i] = double(z[10 * pass + i]);
    for (int pass = 0; pass < 2; ++pass) {
      if (pass) {
        for (int i = 0; i < 10; ++i) dot += map_[0][i] * map_[1][i];
        for (int i = 0; i < 10; ++i) map_[1][i] -= dot * map_[0][i];
      }
      double norm = 0;
      for (double v : map_[pass]) norm += v * v;
      for (double& v : map_[pass]) v /= std::sqrt(norm);
    }
  }
  int64_t size() const override { return count_; }
  std::vector<int64_t> shape() const override { return {10}; }
  int64_t label(int64_t index) const override { return index % 8; }
  void get(int64_t index, float* out) const override {
    float z[4];
    normal4(random4(key_, uint64_t(index)), z);
    const double turn = 6.283185307179586 * double(label(index)) / 8;
    const double x = std::cos(turn) + deviation_ * double(z[0]),
                 y = std::sin(turn) + deviation_ * double(z[1]);
    for (int i = 0; i < 10; ++i) out[i] = float(map_[0][i] * x + map_[1][i] * y);
  }
  uint32_t hash() const override { return uint32_t(key_.seed) ^ uint32_t(count_); }

 private:
  Key key_;
  double deviation_;
  int64_t count_;
  double map_[2][10];
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
