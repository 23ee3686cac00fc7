// Bad data files: CIFAR-10 batches, images, tensors.
#include <stb/stb_image_write.h>
#include <zlib.h>

#include <cmath>
#include <ctime>

#include "data/files/safetensors.h"
#include "data/images/image.h"
#include "data/sets/dataset.h"
#include "kernels/device/error.h"
#include "tests/support/program.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

// Returns a PNG chunk with its CRC.
std::string chunk(const std::string& name, const std::string& data) {
  const auto number = [](uint32_t v) {
    return std::string{char(v >> 24), char(v >> 16), char(v >> 8), char(v)};
  };
  const std::string body = name + data;
  const auto crc = uint32_t(crc32(0, reinterpret_cast<const Bytef*>(body.data()), uInt(body.size())));
  return number(uint32_t(data.size())) + body + number(crc);
}

// The beginning of an RGB PNG and of a JPEG of 60,000 x 60,000 pixels.
const std::string kSignature = "\x89PNG\r\n\x1a\n";
const std::string kHugePng =
    kSignature + chunk("IHDR", std::string("\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0", 13));
const std::string kHugeJpeg =
    std::string("\xff\xd8\xff\xc0\0\x11\x08\xea\x60\xea\x60\x03\x01\x11\0\x02\x11\0\x03\x11\0", 21);

std::string jpeg() {
  std::string out, bytes;
  for (int i = 0; i < 24 * 20 * 3; ++i) bytes += char(i * i / 7);
  const auto append = [](void* to, void* data, int size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), size_t(size));
  };
  stbi_write_jpg_to_func(append, &out, 24, 20, 3, bytes.data(), 90);
  return out;
}

const std::string kRun =
    "train vaegan-cifar10 -q --threads 1 --set train.batch=1 --set train.steps=1 "
    "--set model.width=0.03125 --set model.z_dim=8 --out @/run ";

}  // namespace

TEST_CASE("CIFAR-10: exit codes 2 and 3") {
  const Folder folder;
  std::string batch(30730000, '\1');
  write(folder / "good.bin", batch);
  write(folder / "cut.bin", batch.substr(0, 30729999));
  write(folder / "long.bin", batch + "1");
  batch[123 * 3073] = 10;
  write(folder / "label.bin", batch);
  fs::create_directory(folder / "partial");
  fs::create_symlink("../good.bin", folder / "partial/data_batch_1.bin");
  for (const BadInput& row : {
           BadInput{"", 2, {"data.path", "cifar10"}},
           BadInput{"@/none", 3, {"none", "No such file"}},
           BadInput{"@/cut.bin", 3, {"cut.bin", "30730000", "30729999"}},
           BadInput{"@/long.bin", 3, {"long.bin", "30730000", "30730001"}},
           BadInput{"@/label.bin", 3, {"label.bin", "record 123", "label", "10"}},
           BadInput{"@/partial", 3, {"data_batch_2.bin", "No such file"}},
           BadInput{"@/good.bin --set data.size=64", 2, {"data.size", "32", "64"}},
           BadInput{"@/good.bin --set data.count=10001", 2, {"data.count", "10000", "10001"}},
           BadInput{"@/good.bin --set data.count=3 --set train.batch=4", 2, {"train.batch", "4", "3"}},
       })
    check(folder, {kRun + "--set data.path=" + row.arguments, row.code, row.parts});
  check(folder, {"train toy -q --out @/run --set data.kind=cifar10 --set data.path=@/good.bin",
                 2,
                 {"data.kind", "(10)", "(32, 32, 3)"}});
  CHECK_FALSE(fs::exists(folder / "run"));
}

TEST_CASE("images: exit code 3") {
  const Folder folder;
  std::string pixels;
  for (int i = 0; i < 24 * 20 * 3; ++i) pixels += char(i * 37);
  save_png(folder / "good.png", reinterpret_cast<const uint8_t*>(pixels.data()), 20, 24, 3);
  const std::string png = read(folder / "good.png"), jpg = jpeg();
  const auto damaged = [](std::string file, size_t at) { return file[at] ^= 1, file; };
  const size_t table = jpg.find("\xff\xc4");  // a Huffman table: 16 counts of code lengths begin at byte 5
  std::string malformed = jpg;
  malformed.replace(table + 5, 16, "\x0c" + std::string(15, '\0'));  // twelve codes of one bit
  std::string overfull = jpg;
  overfull.replace(table + 5, 16, std::string(16, '\xff'));
  struct Bad {
    std::string name, content;
    std::vector<std::string> parts;
  };
  for (const Bad& row : {
           Bad{"cut.png", png.substr(0, png.size() / 2), {"truncated"}},
           Bad{"noend.png", png.substr(0, png.size() - 12), {"IEND", "truncated"}},
           Bad{"crc.png", damaged(png, png.size() - 30), {"CRC", "damaged"}},
           Bad{"header.png", kSignature + png.substr(33), {"IHDR"}},
           Bad{"nodata.png", png.substr(0, 33) + chunk("IEND", ""), {"decoded"}},
           Bad{"short.png",
               png.substr(0, 33) + chunk("IDAT", png.substr(41, 40)) + chunk("IEND", ""),
               {"decoded"}},
           Bad{"cut.jpg", jpg.substr(0, jpg.size() - 40), {"end marker", "truncated"}},
           Bad{"noend.jpg", jpg.substr(0, jpg.size() - 2), {"end marker", "truncated"}},
           Bad{"noscan.jpg", jpg.substr(0, jpg.find("\xff\xda")) + "\xff\xd9", {"scan"}},
           Bad{"marker.jpg", damaged(jpg, 20), {"marker"}},
           Bad{"malformed.jpg", malformed, {"decoded"}},
           Bad{"huffman.jpg", overfull, {"Huffman", "256", "4080"}},
           Bad{"empty.jpg", "", {"JPEG or PNG"}},
           Bad{"text.png", "not an image", {"JPEG or PNG"}},
           Bad{"huge.png", kHugePng, {"60000 x 60000", "67108864 pixels"}},
           Bad{"huge.jpg", kHugeJpeg, {"60000 x 60000", "67108864 pixels"}},
           Bad{"zero.png",
               kSignature + chunk("IHDR", std::string("\0\0\0\0\0\0\0\1\x08\x02\0\0\0", 13)),
               {"0 x 1"}},
       }) {
    fs::create_directory(folder / "images");
    write(folder / ("images/" + row.name), row.content);
    std::vector<std::string> parts = row.parts;
    parts.push_back("images/" + row.name + ":");
    check(folder, {kRun + "--set data.kind=folder --set data.path=@/images", 3, parts});
    fs::remove_all(folder / "images");
    fs::remove_all(folder / "run");
  }
  fs::create_directory(folder / "images");
  const std::string folders = kRun + "--set data.kind=folder --set data.path=";
  check(folder, {folders + "@/images", 3, {"images:", ".png", "none"}});
  write(folder / "images/notes.txt", "no image");
  check(folder, {folders + "@/images", 3, {"images:", ".png", "found 1 .txt"}});
  check(folder, {folders + "@/none", 3, {"none:", "No such file"}});
  check(folder, {folders + "@/good.png", 3, {"good.png:", "folder"}});
  check(folder, {folders + "@/images --set data.filter=cubic", 2, {"data.filter", "bicubic"}});
  CHECK_FALSE(fs::exists(folder / "run"));
}

TEST_CASE("a header that claims 60,000 x 60,000 is refused at once, before anything is decoded") {
  for (const std::string& content : {kHugePng, kHugeJpeg}) {
    const std::clock_t start = std::clock();
    CHECK_THROWS_WITH_AS(
        decode_image("a", content),
        "a: expected an image of 1 to 67108864 pixels, found a header that claims 60000 x 60000", Error);
    CHECK(double(std::clock() - start) / CLOCKS_PER_SEC < 0.01);
  }
}

TEST_CASE("tensors: exit codes 2 and 3") {
  const Folder folder;
  const auto images = [](const std::string& dtype, const std::string& shape, size_t bytes) {
    return R"({"images":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":[0,)" +
           std::to_string(bytes) + "]}";
  };
  const std::string good = images("U8", "[2,32,32,3]", 6144);
  struct Bad {
    std::string name, header;
    size_t bytes;
    int code;
    std::vector<std::string> parts;
  };
  for (const Bad& row : {
           Bad{"none",
               R"({"pictures":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
               4,
               3,
               {"named images"}},
           Bad{"rank", images("F32", "[4,4,4]", 256) + "}", 256, 3, {"images:", "F32 (4, 4, 4)"}},
           Bad{"bytes", images("U8", "[4,10]", 40) + "}", 40, 3, {"images:", "U8 (4, 10)"}},
           Bad{"dtype", images("I64", "[2,3,32,32]", 49152) + "}", 49152, 3, {"images:", "I64"}},
           Bad{"zero", images("F32", "[0,3,32,32]", 0) + "}", 0, 3, {"images:", "(0, 3, 32, 32)"}},
           Bad{"size", images("U8", "[2,16,16,3]", 1536) + "}", 1536, 2, {"(32, 32, 3)", "(16, 16, 3)"}},
           Bad{"noise",
               good + R"(,"noise":{"dtype":"F16","shape":[2,8],"data_offsets":[6144,6176]}})",
               6176,
               3,
               {"noise:", "F16"}},
           Bad{"vector",
               good + R"(,"noise":{"dtype":"F32","shape":[8],"data_offsets":[6144,6176]}})",
               6176,
               3,
               {"noise:", "F32 (8)"}},
       }) {
    write_safetensors(folder / row.name, row.header, row.bytes);
    check(folder, {kRun + "--set data.kind=tensors --set data.path=@/" + row.name, row.code, row.parts});
  }
  // Values in the range of bytes, or not finite, would train to NaN. Values just beyond 1 are rounding
  // errors.
  for (const auto& [name, value, says] :
       {std::tuple("range", 255.0f, "example 1: expected finite values in [-1, 1], found 255; bytes are U8"),
        std::tuple("nan", NAN, "example 1: expected finite values in [-1, 1], found nan"),
        std::tuple("noise", INFINITY, "noise: row 1: expected finite values, found inf"),
        std::tuple("fine", 1.0001f, "")}) {
    std::vector<float> pixels(2 * 3072, 0.5f), noise(4 * 8, 0.5f);
    const bool in_noise = std::string(name) == "noise";
    (in_noise ? noise[11] : pixels[5000]) = value;
    save_safetensors(folder / name,
                     {{"images", "F32", {2, 3, 32, 32}, pixels.data(), pixels.size() * 4},
                      {"noise", "F32", {4, 8}, noise.data(), noise.size() * 4}},
                     {});
    const std::string path = folder / name;
    if (*says) CHECK_THROWS_WITH_AS(open_tensors(path), doctest::Contains(says), Error);
    else CHECK(open_tensors(path)->size() == 2);
  }
  CHECK_FALSE(fs::exists(folder / "run"));
  // Too few rows of noise, or another width, are found when the noise is drawn.
  for (const char* shape : {"[1,8]", "[8,7]"}) {
    const size_t end = 6144 + (shape[1] == '1' ? 32 : 224);
    write_safetensors(folder / "few",
                      good + R"(,"noise":{"dtype":"F32","shape":)" + shape + R"(,"data_offsets":[6144,)" +
                          std::to_string(end) + "]}}",
                      end);
    check(folder, {kRun + "--set data.kind=tensors --set data.path=@/few", 3, {"noise:", "row"}});
    fs::remove_all(folder / "run");
  }
}

}  // namespace dae
