#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "data/files/file.h"
#include "data/images/pixel.h"
#include "data/images/resize.h"
#include "data/sets/dataset.h"
#include "kernels/device/error.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kLargestFile = int64_t{1} << 30;

class Folder : public Dataset {
 public:
  Folder(const std::string& root, int64_t size, const std::string& filter)
      : root_(root), side_(size), filter_(filter) {
    ImageList list = list_images(root);
    names_ = std::move(list.names), skipped_ = std::move(list.skipped);
    std::map<std::string, int64_t> classes;
    for (const std::string& name : names_) {
      const std::string content = read(name);
      check_image(path(name), content);
      crc_ = crc_of(content, crc_);
      list_crc_ = crc_of(name + '\n', list_crc_);
      if (name.find('/') != std::string::npos) classes[class_of(name)] = 0;
    }
    int64_t next = 0;
    for (auto& [name, number] : classes) number = next++;
    for (const std::string& name : names_)
      labels_.push_back(name.find('/') == std::string::npos ? -1 : classes[class_of(name)]);
  }
  int64_t size() const override { return int64_t(names_.size()); }
  std::vector<int64_t> shape() const override { return {side_, side_, 3}; }
  int64_t label(int64_t index) const override { return labels_[size_t(index)]; }
  std::vector<std::pair<std::string, uint32_t>> hashes() const override {
    return {{"crc32", crc_}, {"list_crc32", list_crc_}};
  }
  std::string skipped() const override { return skipped_; }

  void get(int64_t index, std::optional<uint32_t> crop, double* out) const override {
    const std::string& name = names_[size_t(index)];
    const Image image = decode_image(path(name), read(name));
    const int64_t shorter = std::min(image.height, image.width);
    const auto scaled = [&](int64_t length) {
      return std::llround(double(length) * double(side_) / double(shorter));
    };
    const int64_t height = scaled(image.height), width = scaled(image.width);
    const auto place = [&](int64_t room) {
      return crop ? int64_t(uint64_t(*crop) * uint64_t(room + 1) >> 32) : room / 2;
    };
    const Image cut =
        resize(image, height, width, filter_, {place(height - side_), place(width - side_), side_, side_});
    for (const uint8_t byte : cut.bytes) *out++ = value_of_byte(byte);
  }

 private:
  static std::string class_of(const std::string& name) { return name.substr(0, name.find('/')); }
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  std::string read(const std::string& name) const { return read_file(path(name), kLargestFile); }

  std::string root_;
  int64_t side_;
  std::string filter_;
  std::vector<std::string> names_;
  std::string skipped_;
  std::vector<int64_t> labels_;
  uint32_t crc_ = 0, list_crc_ = 0;
};

}  // namespace

ImageList list_images(const std::string& root) {
  ImageList out;
  std::vector<std::string>& names = out.names;
  std::map<std::string, int64_t> others;  // counts by ending
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, error), end; !error && at != end; at.increment(error)) {
    if (at->path().filename().string().starts_with('.')) {
      at.disable_recursion_pending();
      continue;
    }
    std::error_code ignored;
    if (!at->is_regular_file(ignored)) continue;
    std::string kind = at->path().extension().string();
    std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::tolower(c); });
    if (kind == ".jpg" || kind == ".jpeg" || kind == ".png")
      names.push_back(at->path().lexically_relative(root).generic_string());
    else ++others[kind.empty() ? "without an ending" : kind];
  }
  for (const auto& [kind, count] : others)
    out.skipped += fmt::format("{}{} {}", out.skipped.empty() ? "" : ", ", count, kind);
  if (error)
    fail(Fault::data, "{}: expected a folder of images that can be listed, found: {}", root, error.message());
  if (names.empty())
    fail(Fault::data, "{}: expected .jpg, .jpeg or .png files in it, found {}", root,
         out.skipped.empty() ? "none" : out.skipped);
  std::sort(names.begin(), names.end());
  return out;
}

std::unique_ptr<Dataset> open_folder(const std::string& path, int64_t size, const std::string& filter) {
  return std::make_unique<Folder>(path, size, filter);
}

}  // namespace dae
