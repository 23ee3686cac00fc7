// Images and their resizing, the data sets, and the order, crops and flips of the loader.
#include <doctest/doctest.h>
#include <stb/stb_image_write.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "data/files/file.h"
#include "data/files/safetensors.h"
#include "data/images/image.h"
#include "data/images/resize.h"
#include "data/sets/loader.h"
#include "kernels/device/error.h"
#include "kernels/device/philox.h"
#include "tests/support/folder.h"
#include "train/feed/feed.h"

namespace dae {

namespace {

std::vector<uint8_t> random_bytes(int64_t count, uint64_t seed) {
  std::vector<uint8_t> bytes;
  for (int64_t i = 0; i < count; ++i) bytes.push_back(uint8_t(random_bits({seed, 0, 0}, uint64_t(i))));
  return bytes;
}

std::string jpeg_of(const Image& image, int quality) {
  std::string jpeg;
  const auto append = [](void* out, void* data, int size) {
    static_cast<std::string*>(out)->append(static_cast<const char*>(data), size_t(size));
  };
  stbi_write_jpg_to_func(append, &jpeg, int(image.width), int(image.height), 3, image.bytes.data(), quality);
  return jpeg;
}

// Returns the message of the Error that f throws; empty if it throws none.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) { return e.what(); }
  return {};
}

std::vector<double> values_of(const RawBatch& batch) {
  return std::visit([](const auto& v) { return std::vector<double>(v.begin(), v.end()); }, batch.values);
}

bool equal(const RawBatch& a, const RawBatch& b) {
  return a.values == b.values && a.shape == b.shape && a.labels == b.labels;
}

}  // namespace

TEST_CASE("resize: values recorded from Pillow 12.0 and OpenCV") {
  // The values come from this Python, with the filter in question:
  //   y, x, c = np.ogrid[:7, :11, :3]
  //   a = ((x * x * 31 + y * 57 + x * y * 13 + c * 85) % 256).astype(np.uint8)
  //   nearest, bicubic, lanczos:
  //     np.array(Image.fromarray(a).resize((w, h), Image.BICUBIC))[window].ravel()
  //   bilinear, area:
  //     cv2.resize(a, (w, h), interpolation=cv2.INTER_AREA)[window].ravel()
  Image a{7, 11, {}};
  for (int y = 0; y < 7; ++y)
    for (int x = 0; x < 11; ++x)
      for (int c = 0; c < 3; ++c) a.bytes.push_back(uint8_t(x * x * 31 + y * 57 + x * y * 13 + c * 85));
  struct Row {
    std::string filter;
    int64_t height, width;
    Window window;
    std::vector<int> expected;
  };
  for (const Row& row : {
           Row{"nearest", 3, 5, {0, 0, 3, 5}, {101, 186, 15, 119, 204, 33,  129, 214, 43,  131, 216, 45,
                                               125, 210, 39, 241, 70,  155, 55,  140, 225, 117, 202, 31,
                                               171, 0,   85, 217, 46,  131, 125, 210, 39,  247, 76,  161,
                                               105, 190, 19, 211, 40,  125, 53,  138, 223}},
           {"bicubic", 3, 5, {0, 0, 3, 5}, {77,  127, 126, 129, 121, 103, 137, 129, 95,  138, 125, 89,
                                            132, 115, 115, 160, 83,  118, 126, 132, 141, 167, 136, 109,
                                            117, 120, 137, 108, 147, 152, 110, 124, 111, 124, 146, 98,
                                            154, 145, 96,  163, 132, 114, 138, 118, 129}},
           {"lanczos", 3, 5, {0, 0, 3, 5}, {75,  128, 123, 130, 117, 101, 137, 128, 96,  136, 125, 84,
                                            133, 112, 115, 162, 82,  118, 125, 132, 146, 172, 135, 109,
                                            116, 119, 138, 102, 150, 154, 111, 122, 114, 121, 151, 97,
                                            152, 147, 95,  169, 132, 115, 137, 116, 131}},
           {"bilinear", 3, 5, {0, 0, 3, 5}, {62,  147, 129, 105, 156, 88,  88,  173, 88,  159, 159, 73,
                                             152, 118, 100, 213, 42,  127, 67,  152, 186, 117, 202, 31,
                                             169, 50,  83,  161, 92,  177, 108, 142, 90,  166, 114, 114,
                                             145, 145, 60,  179, 94,  93,  135, 101, 152}},
           {"area", 3, 5, {0, 0, 3, 5}, {69,  127, 136, 126, 128, 103, 131, 130, 95,  146, 122, 90,
                                         136, 111, 119, 165, 77,  119, 124, 136, 135, 167, 136, 111,
                                         108, 123, 141, 109, 144, 152, 111, 126, 102, 122, 144, 96,
                                         153, 142, 97,  159, 134, 103, 141, 117, 125}},
           {"nearest", 10, 13, {3, 4, 3, 5}, {215, 44,  129, 202, 31,  116, 251, 80,  165, 106, 191, 20,
                                              23,  108, 193, 55,  140, 225, 55,  140, 225, 117, 202, 31,
                                              241, 70,  155, 171, 0,   85,  55,  140, 225, 55,  140, 225,
                                              117, 202, 31,  241, 70,  155, 171, 0,   85}},
           {"bicubic", 10, 13, {3, 4, 3, 5}, {224, 36,  112, 208, 37,  117, 251, 81,  164, 128, 183, 28,
                                              42,  139, 143, 101, 85,  223, 104, 100, 190, 155, 168, 69,
                                              202, 116, 110, 150, 29,  117, 65,  186, 193, 92,  187, 169,
                                              151, 164, 65,  206, 118, 113, 161, 48,  128}},
           {"lanczos", 10, 13, {3, 4, 3, 5}, {233, 32,  97,  207, 36,  120, 253, 81,  165, 132, 184, 26,
                                              36,  149, 137, 110, 53,  245, 98,  90,  198, 150, 169, 68,
                                              205, 126, 107, 158, 18,  124, 45,  199, 195, 94,  202, 158,
                                              150, 165, 64,  209, 122, 112, 167, 54,  128}},
           {"bilinear", 10, 13, {3, 4, 3, 5}, {206, 48,  120, 204, 46,  118, 245, 87,  159, 132, 169, 46,
                                               54,  135, 136, 109, 105, 190, 115, 110, 170, 164, 159, 78,
                                               189, 119, 103, 142, 60,  118, 90,  175, 170, 103, 174, 158,
                                               160, 155, 74,  192, 123, 107, 153, 72,  129}},
           {"area", 10, 13, {3, 4, 3, 5}, {211, 40,  125, 206, 35,  120, 251, 80,  165, 119, 181, 33,
                                           46,  131, 146, 100, 112, 196, 102, 114, 182, 155, 167, 69,
                                           198, 110, 112, 149, 51,  116, 83,  168, 180, 92,  170, 172,
                                           152, 164, 66,  201, 114, 115, 158, 60,  125}},
       }) {
    INFO(row.filter, " to ", row.height, " x ", row.width);
    const Image b = resize(a, row.height, row.width, row.filter, row.window);
    REQUIRE(b.bytes.size() == row.expected.size());
    int furthest = 0;
    for (size_t i = 0; i < b.bytes.size(); ++i)
      furthest = std::max(furthest, std::abs(int(b.bytes[i]) - row.expected[i]));
    // OpenCV rounds once, at the end; here each direction rounds. So bytes differ by at most 1.
    CHECK(furthest <= (row.filter == "bilinear" || row.filter == "area" ? 1 : 0));
  }
  for (const char* filter : {"nearest", "bilinear", "area", "bicubic", "lanczos"})  // its own size: itself
    CHECK(resize(a, 7, 11, filter, {0, 0, 7, 11}).bytes == a.bytes);
  CHECK_THROWS_AS(resize(a, 3, 3, "cubic", {0, 0, 3, 3}), Error);
}

TEST_CASE("PNG: a round trip keeps every byte; JPEG comes near") {
  const Folder folder;
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {13, 7}, {64, 31}}) {
    const std::vector<uint8_t> bytes = random_bytes(height * width * 3, 1);
    save_png(folder / "a.png", bytes.data(), height, width, 3);
    const Image image = decode_image("a", read_file(folder / "a.png"));
    CHECK(image.height == height);
    CHECK(image.width == width);
    CHECK(image.bytes == bytes);
  }
  const std::vector<uint8_t> grey = random_bytes(35, 2);
  save_png(folder / "grey.png", grey.data(), 5, 7, 1);
  const Image image = decode_image("grey", read_file(folder / "grey.png"));
  for (size_t i = 0; i < 105; ++i) CHECK(image.bytes[i] == grey[i / 3]);

  Image smooth{40, 56, {}};
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 56; ++x)
      for (int c = 0; c < 3; ++c) smooth.bytes.push_back(uint8_t(3 * x + 2 * y + 5 * c));
  const Image back = decode_image("smooth", jpeg_of(smooth, 95));
  REQUIRE(back.bytes.size() == smooth.bytes.size());
  double error = 0;
  for (size_t i = 0; i < back.bytes.size(); ++i)
    error += std::abs(int(back.bytes[i]) - int(smooth.bytes[i])) / double(back.bytes.size());
  CHECK(error < 2);  // a JPEG of quality 95 changes a gradient by about one level
}

TEST_CASE("JPEG of every kind of chroma, in one pass and in several, has Pillow's bytes") {
  const Safetensors golden(DAE_SOURCE "/tests/golden/jpeg.safetensors");
  const bool same_library = jpeg_decoder().starts_with("libjpeg-turbo");
  if (!same_library) MESSAGE("skipped but for sizes: ", jpeg_decoder(), " decodes in this build");
  int files = 0;
  for (const TensorEntry& file : golden.entries()) {
    if (!file.name.ends_with(".jpg")) continue;
    const std::string name = file.name.substr(0, file.name.size() - 4);
    const TensorEntry& pixels = *golden.find(name + ".rgb");
    INFO(name);
    ++files;
    const Image image = decode_image(name, {static_cast<const char*>(file.bytes), file.size});
    REQUIRE(std::vector<int64_t>{image.height, image.width, 3} == pixels.shape);
    if (same_library) CHECK(std::memcmp(image.bytes.data(), pixels.bytes, pixels.size) == 0);
  }
  CHECK(files == 12);
}

// If the coded data end early, between whole segments, libjpeg alone would fill the rest with grey.
TEST_CASE("a JPEG whose scan lacks data is refused, and so is one of too many scans") {
  const Safetensors golden(DAE_SOURCE "/tests/golden/jpeg.safetensors");
  const auto bytes = [&](const char* name) {
    const TensorEntry& file = *golden.find(name);
    return std::string(static_cast<const char*>(file.bytes), file.size);
  };
  const std::string whole = bytes("420-restart.jpg"), cut = whole.substr(0, whole.size() - 60) + "\xff\xd9";
  if (jpeg_decoder().starts_with("libjpeg-turbo"))
    CHECK(error_of([&] { decode_image("a", cut); }).find("premature end of data segment") !=
          std::string::npos);
  const std::string several = bytes("420-progressive.jpg");
  const size_t last = several.rfind("\xff\xda");
  std::string many = several.substr(0, last);
  for (int i = 0; i < 100; ++i) many += several.substr(last, several.size() - 2 - last);
  CHECK(error_of([&] { decode_image("a", many + "\xff\xd9"); }).find("at most 100 scans") !=
        std::string::npos);
}

TEST_CASE("damaged images: every cut and every flipped bit of a PNG is refused") {
  const Folder folder;
  const Image image{9, 11, random_bytes(297, 3)};
  save_png(folder / "a.png", image.bytes.data(), 9, 11, 3);
  const std::string png = read_file(folder / "a.png"), jpeg = jpeg_of(image, 90);
  for (const std::string& whole : {png, jpeg}) {
    CHECK(error_of([&] { check_image("a", whole); }).empty());
    CHECK(error_of([&] { check_image("a", whole + "more"); }).empty());  // cameras append data
    for (size_t size = 0; size < whole.size(); ++size)
      CHECK_FALSE(error_of([&] { check_image("a", whole.substr(0, size)); }).empty());
  }
  for (size_t bit = 0; bit < 8 * png.size(); ++bit) {
    std::string flipped = png;
    flipped[bit / 8] = char(flipped[bit / 8] ^ (1 << bit % 8));
    CHECK_FALSE(error_of([&] { check_image("a", flipped); }).empty());
  }
  for (size_t bit = 0; bit < 8 * jpeg.size(); ++bit) {  // no checksum: it is decoded or refused
    std::string flipped = jpeg;
    flipped[bit / 8] = char(flipped[bit / 8] ^ (1 << bit % 8));
    error_of([&] { decode_image("a", flipped); });
  }
}

TEST_CASE("CIFAR-10: bytes to numbers exactly, planes to pixels, labels, the order of the files") {
  const Folder folder;
  std::string file;
  for (const uint8_t b : random_bytes(30730000, 5)) file += char(b);
  for (size_t i = 0; i < 10000; ++i) file[i * 3073] = char(i * 7 % 10);
  write_file(folder / "data_batch_1.bin", file);
  std::string other = file;
  for (size_t i = 0; i < 10000; ++i) other[i * 3073] = char(9 - i * 7 % 10);
  write_file(folder / "data_batch_2.bin", other);
  for (const char* i : {"3", "4", "5"})
    std::filesystem::create_symlink("data_batch_1.bin", folder / ("data_batch_" + std::string(i) + ".bin"));

  LoaderOptions options;
  options.kind = "cifar10", options.path = folder.path.string();
  options.shuffle = options.flip = false, options.batch = 5000;
  Loader single(options);
  options.f64 = true;
  Loader twice(options);
  for (int64_t number = 0; number < 4; ++number) {
    const RawBatch a = single.next(), b = twice.next();
    CHECK(a.shape == std::vector<int64_t>{5000, 32, 32, 3});
    const auto& f32 = std::get<std::vector<float>>(a.values);
    const auto& f64 = std::get<std::vector<double>>(b.values);
    int64_t wrong = 0;
    for (int64_t i = 0; i < 5000; ++i) {
      const int64_t at = (number * 5000 + i) % 10000;
      const std::string& source = number < 2 ? file : other;
      for (int64_t p = 0; p < 1024; ++p)
        for (int64_t c = 0; c < 3; ++c) {
          const double exact = uint8_t(source[size_t(at * 3073 + 1 + c * 1024 + p)]) / 127.5 - 1;
          const size_t to = size_t((i * 1024 + p) * 3 + c);
          wrong += f32[to] != float(exact) || f64[to] != exact;
        }
      wrong += a.labels[size_t(i)] != (number < 2 ? at * 7 % 10 : 9 - at * 7 % 10) || b.labels != a.labels;
    }
    CHECK(wrong == 0);
  }
  CHECK(nlohmann::json::parse(single.manifest())["count"] == 50000);

  Recipe recipe;  // the labels must reach the batch of the training loop
  recipe.data.path = folder / "data_batch_1.bin";
  recipe.train.batch = 16;
  Feed feed(recipe, 0);
  const Batch batch = feed.next();
  CHECK(batch.labels.dtype() == Dtype::i64);
  REQUIRE(batch.labels.size() == 16);
  std::set<int64_t> seen(batch.labels.data<int64_t>(), batch.labels.data<int64_t>() + 16);
  CHECK(seen.size() > 3);
  for (int64_t i = 0; i < 16; ++i) {  // finds the record with these pixels, which must have this label
    const float* x = batch.x.data<float>() + i * 3072;
    bool found = false;
    for (size_t at = 0; at < 10000 && !found; ++at) {
      bool same = true, mirrored = true;
      for (size_t p = 0; p < 32 && (same || mirrored); ++p) {
        const float v = float(uint8_t(file[at * 3073 + 1 + p]) / 127.5 - 1);
        same &= x[p * 3] == v, mirrored &= x[(31 - p) * 3] == v;
      }
      found = (same || mirrored) && batch.labels.data<int64_t>()[i] == int64_t(at * 7 % 10);
    }
    CHECK(found);
  }
}

TEST_CASE("a folder: its order, labels, crops, and what its hashes tell") {
  const Folder folder;
  // Pictures of 20 x 40 and 40 x 20 pixels. Red is the column, green the row, blue the number of the picture.
  const std::vector<std::string> names = {"b/1.png", "a/2.PNG", "c.png", "a-b/3.png", "a/deep/4.jpeg"};
  for (size_t k = 0; k < names.size(); ++k) {
    std::filesystem::create_directories((folder.path / names[k]).parent_path());
    const int64_t height = k % 2 ? 40 : 20, width = 60 - height;
    std::vector<uint8_t> bytes;
    for (int64_t i = 0; i < 800; ++i)
      bytes.insert(bytes.end(), {uint8_t(i % width), uint8_t(i / width), uint8_t(k)});
    save_png(folder / names[k], bytes.data(), height, width, 3);  // the bytes decide, not the name
  }
  write_file(folder / "notes.txt", "passed over");
  LoaderOptions options;
  options.kind = "folder", options.path = folder.path.string(), options.size = 20, options.batch = 5;
  options.shuffle = options.flip = false;
  const auto pixel = [](const std::vector<double>& v, int64_t i, int64_t y, int64_t x, int64_t c) {
    return int64_t(std::lround(v[size_t(((i * 20 + y) * 20 + x) * 3 + c)] * 127.5 + 127.5));
  };
  {
    Loader loader(options);
    const RawBatch batch = loader.next();
    const std::vector<double> v = values_of(batch);
    CHECK(batch.shape == std::vector<int64_t>{5, 20, 20, 3});
    const int64_t order[] = {3, 1, 4, 0, 2};  // a-b/3, a/2, a/deep/4, b/1, c: byte by byte
    for (int64_t i = 0; i < 5; ++i) {
      CHECK(pixel(v, i, 0, 0, 2) == order[i]);
      const bool tall = order[i] % 2;
      CHECK(pixel(v, i, 0, 0, 0) == (tall ? 0 : 10));  // the middle of the long side
      CHECK(pixel(v, i, 0, 0, 1) == (tall ? 10 : 0));
      CHECK(pixel(v, i, 19, 19, 0) == (tall ? 19 : 29));
    }
    CHECK(batch.labels == std::vector<int64_t>{1, 0, 0, 2, -1});  // folders a, a-b, b; c is in none
  }
  options.crop = "random", options.flip = true, options.seed = 6;
  Loader one(options), again(options);
  LoaderOptions reseeded = options;
  reseeded.seed = 7;
  Loader other(reseeded);
  std::set<int64_t> offsets;
  int64_t flips = 0, total = 0;
  bool differs = false;
  for (int k = 0; k < 60; ++k) {
    const RawBatch batch = one.next();
    CHECK(equal(batch, again.next()));
    differs |= !equal(batch, other.next());
    const std::vector<double> v = values_of(batch);
    for (int64_t i = 0; i < 5; ++i) {
      const bool flipped = pixel(v, i, 0, 0, 0) > pixel(v, i, 0, 19, 0), tall = pixel(v, i, 0, 0, 2) % 2;
      flips += flipped, ++total;
      const int64_t left = pixel(v, i, 0, flipped ? 19 : 0, 0), top = pixel(v, i, 0, 0, 1);
      CHECK((tall ? left : top) == 0);
      offsets.insert(tall ? top : left);
      int64_t wrong = 0;
      for (int64_t y = 0; y < 20; ++y)
        for (int64_t x = 0; x < 20; ++x)
          wrong += pixel(v, i, y, x, 0) != left + (flipped ? 19 - x : x) || pixel(v, i, y, x, 1) != top + y;
      CHECK(wrong == 0);
    }
  }
  CHECK(differs);
  CHECK(offsets.size() == 21);  // 300 draws of 21 offsets miss one with probability 21 (20/21)^300 < 1e-5
  CHECK(*offsets.rbegin() == 20);
  CHECK(std::abs(double(flips) / double(total) - 0.5) < 0.12);  // four standard deviations

  const auto manifest = [&] { return nlohmann::json::parse(Loader(options).manifest()); };
  const nlohmann::json first = manifest();
  CHECK(first["kind"] == "folder");
  CHECK(first["count"] == 5);
  CHECK(first["shape"] == nlohmann::json{20, 20, 3});
  CHECK(first == manifest());
  std::filesystem::rename(folder / "c.png", folder / "d.png");
  const nlohmann::json renamed = manifest();
  CHECK(renamed["crc32"] == first["crc32"]);
  CHECK(renamed["list_crc32"] != first["list_crc32"]);
  std::filesystem::copy_file(folder / "b/1.png", folder / "d.png",
                             std::filesystem::copy_options::overwrite_existing);
  const nlohmann::json replaced = manifest();
  CHECK(replaced["crc32"] != first["crc32"]);
  CHECK(replaced["list_crc32"] == renamed["list_crc32"]);
}

TEST_CASE("a long image is cut without being made whole") {
  const Folder folder;
  const std::vector<uint8_t> bytes = random_bytes(30000 * 3, 8);
  save_png(folder / "a.png", bytes.data(), 1, 30000, 3);
  LoaderOptions options;  // the whole resized image would have 512 x 15,360,000 pixels
  options.kind = "folder", options.path = folder.path.string(), options.size = 512, options.batch = 1;
  options.filter = "lanczos";
  Loader loader(options);
  CHECK(loader.next().shape == std::vector<int64_t>{1, 512, 512, 3});
}

TEST_CASE("the loader: permutations by epoch, and a resumed start sees what the first run saw") {
  LoaderOptions options;
  options.kind = "procedural", options.size = 8, options.count = 50, options.batch = 7, options.seed = 3;
  std::vector<RawBatch> batches;
  {
    Loader loader(options);
    for (int i = 0; i < 22; ++i) batches.push_back(loader.next());
  }
  for (const int64_t start : {1, 7, 13, 20}) {  // an epoch has seven batches, so some cross its end
    options.start = start;
    Loader loader(options);
    for (size_t i = size_t(start); i < batches.size(); ++i) CHECK(equal(loader.next(), batches[i]));
  }
  options.start = 0, options.flip = false;
  const auto epoch = [](Loader& loader) {
    std::vector<std::vector<double>> examples;
    for (int k = 0; k < 7; ++k) {
      const std::vector<double> v = values_of(loader.next());
      for (size_t i = 0; i < 7; ++i) examples.emplace_back(&v[i * 192], &v[i * 192] + 192);
    }
    return examples;
  };
  Loader loader(options);
  const auto first = epoch(loader), second = epoch(loader);
  CHECK(std::set(first.begin(), first.end()).size() == 49);
  CHECK(std::set(second.begin(), second.end()).size() == 49);
  CHECK(first != second);
  options.seed = 4;  // the seed changes the pictures too, so the orders are compared on tensors of one set
  const Folder folder;
  std::vector<float> numbers(50);
  for (size_t i = 0; i < 50; ++i) numbers[i] = float(i);
  save_safetensors(folder / "a", {{"images", "F32", {50, 1}, numbers.data(), 200}}, {});
  options.kind = "tensors", options.path = folder / "a", options.batch = 50;
  const auto order = [&](uint64_t seed, bool shuffle) {
    options.seed = seed, options.shuffle = shuffle;
    return values_of(Loader(options).next());
  };
  CHECK(order(4, true) != order(5, true));
  CHECK(order(4, true) == order(4, true));
  CHECK(order(4, false) == std::vector<double>(numbers.begin(), numbers.end()));
}

TEST_CASE("tensors: layouts, and doubles that stay doubles") {
  const Folder folder;
  const std::vector<uint8_t> bytes = random_bytes(2 * 3 * 5 * 3, 9);
  std::vector<float> f32(90);  // the same pictures as (N, C, H, W)
  std::vector<double> f64(90), noise;
  for (size_t n = 0; n < 2; ++n)
    for (size_t p = 0; p < 15; ++p)
      for (size_t c = 0; c < 3; ++c) {
        const size_t to = n * 45 + c * 15 + p;
        f64[to] = bytes[n * 45 + p * 3 + c] / 127.5 - 1, f32[to] = float(f64[to]);
      }
  for (int i = 0; i < 24; ++i) noise.push_back(std::sin(double(i) + 0.1));
  save_safetensors(folder / "u8", {{"images", "U8", {2, 3, 5, 3}, bytes.data(), 90}}, {});
  save_safetensors(folder / "f32", {{"images", "F32", {2, 3, 3, 5}, f32.data(), 360}}, {});
  save_safetensors(
      folder / "f64",
      {{"images", "F64", {2, 3, 3, 5}, f64.data(), 720}, {"noise", "F64", {8, 3}, noise.data(), 192}}, {});
  LoaderOptions options;
  options.kind = "tensors", options.batch = 2, options.shuffle = options.flip = false, options.f64 = true;
  const auto read = [&](const char* name) {
    options.path = folder / name;
    return values_of(Loader(options).next());
  };
  CHECK(read("u8") == read("f64"));
  for (size_t i = 0; i < 90; ++i) CHECK(read("f32")[i] == double(float(read("f64")[i])));
  for (size_t p = 0; p < 30; ++p)
    for (size_t c = 0; c < 3; ++c) CHECK(read("u8")[p * 3 + c] == bytes[p * 3 + c] / 127.5 - 1);

  Recipe recipe;
  recipe.data.kind = "tensors", recipe.data.path = folder / "f64", recipe.data.shuffle = false;
  recipe.dtype = "f64", recipe.train.batch = 2;
  Feed feed(recipe, 0);
  int64_t used = 0;
  std::vector<double> drawn;
  for (uint32_t step = 1; step <= 2; ++step) {  // a step draws 2 rows, then 1, then 1
    const std::unique_ptr<Noise> rows = feed.noise(used, 0, step);
    for (const int64_t count : {2, 1, 1}) {
      const Tensor t = rows->normal({count, 3}, Dtype::f64);
      CHECK(t.dtype() == Dtype::f64);
      const std::vector<double> v = t.values();
      drawn.insert(drawn.end(), v.begin(), v.end());
    }
  }
  CHECK(used == 8);
  CHECK(drawn == noise);
  CHECK(error_of([&] {
          feed.noise(used, 0, 3)->normal({1, 3}, Dtype::f64);
        }).find("row 8") != std::string::npos);
  used = 0;
  CHECK_FALSE(error_of([&] { feed.noise(used, 0, 1)->normal({1, 4}, Dtype::f64); }).empty());
}

TEST_CASE("manifests of made-up data tell seeds, variances and sizes apart") {
  LoaderOptions options;
  options.kind = "toy", options.count = 100, options.batch = 10;
  std::set<std::string> hashes;
  const auto add = [&] {
    const nlohmann::json manifest = nlohmann::json::parse(Loader(options).manifest());
    CHECK(manifest == nlohmann::json::parse(Loader(options).manifest()));
    hashes.insert(manifest["crc32"].get<std::string>());
  };
  add();
  options.seed = 1, add();
  options.variance = 0.05, add();
  options.count = 101, add();
  options.kind = "procedural", add();
  options.size = 16, add();
  options.seed = 2, add();
  CHECK(hashes.size() == 7);
}

}  // namespace dae
