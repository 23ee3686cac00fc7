// NumPy's files and the zip archives around them: files that NumPy wrote (tests/golden/make_files.py), files
// that equal NumPy's, and hostile archives.
#include <doctest/doctest.h>
#include <zlib.h>

#include <functional>

#include "data/files/file.h"
#include "data/files/npz.h"
#include "kernels/device/error.h"
#include "tests/support/elements.h"
#include "tests/support/error_of.h"
#include "tests/support/folder.h"

namespace dae {

using namespace std::string_literals;

namespace {

const std::string kGolden = DAE_SOURCE "/tests/golden/files/";

std::string little(uint64_t value, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += char(value >> (8 * i) & 255);
  return out;
}

std::string deflated(const std::string& bytes) {
  std::string out(compressBound(bytes.size()) + 16, '\0');
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = uInt(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// A member as archive() writes it, with possibly false claims.
struct Planted {
  std::string name, bytes;  // as stored in the file
  uint64_t size = 0;        // the size that the directory claims
  uint32_t crc = 0;
  int method = 0, flags = 0;
  int64_t offset = -1;      // the offset that the directory claims; -1: the true one
  uint64_t local_size = 0;  // the size that the member's own header claims
  bool zip64 = false;       // the sizes stand in a zip64 field
};
Planted stored(const std::string& name, const std::string& bytes) {
  return {name, bytes, bytes.size(), crc_of(bytes), 0, 0, -1, bytes.size()};
}
Planted deflated(const std::string& name, const std::string& bytes) {
  return {name, deflated(bytes), bytes.size(), crc_of(bytes), 8, 0, -1, bytes.size()};
}

std::string archive(const std::vector<Planted>& members, const std::string& comment = "") {
  std::string file, directory;
  for (const Planted& m : members) {
    const auto common = [&](uint64_t size, const std::string& extra) {
      const uint64_t all = 0xFFFFFFFF;
      return little(20, 2) + little(m.flags, 2) + little(m.method, 2) + little(0, 4) + little(m.crc, 4) +
             little(m.zip64 ? all : m.bytes.size(), 4) + little(m.zip64 ? all : size, 4) +
             little(m.name.size(), 2) + little(extra.size(), 2);
    };
    const auto extra = [&](uint64_t size) {  // another field comes first, as in archives of other tools
      return m.zip64 ? little(0x5455, 2) + little(3, 2) + "abc" + little(1, 2) + little(16, 2) +
                           little(size, 8) + little(m.bytes.size(), 8)
                     : std::string();
    };
    directory += little(0x02014b50, 4) + little(20, 2) + common(m.size, extra(m.size)) + little(0, 10) +
                 little(m.offset < 0 ? file.size() : uint64_t(m.offset), 4) + m.name + extra(m.size);
    file += little(0x04034b50, 4) + common(m.local_size, extra(m.local_size)) + m.name + extra(m.local_size) +
            m.bytes;
  }
  const size_t begin = file.size();
  return file + directory + little(0x06054b50, 4) + little(0, 4) + little(members.size(), 2) +
         little(members.size(), 2) + little(directory.size(), 4) + little(begin, 4) +
         little(comment.size(), 2) + comment;
}

std::string npy(const std::string& header, const std::string& data) {
  return std::string("\x93NUMPY\x01\x00", 8) + little(header.size(), 2) + header + data;
}
const std::string kHeader = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }\n";
const std::string kTwelve = std::string("\0\0\1\0\2\0\3\0\4\0\5\0", 12);

}  // namespace

TEST_CASE("npz: what NumPy wrote, stored and deflated, of every dtype, in C's and Fortran's order") {
  const Npz many(kGolden + "numpy-deflated.npz"), two(kGolden + "numpy.npz"), one(kGolden + "numpy.npy");
  const std::vector<std::pair<std::string, std::string>> dtypes = {
      {"u1", "U8"},  {"i1", "I8"},  {"b1", "BOOL"}, {"u2", "U16"}, {"i2", "I16"}, {"u4", "U32"},
      {"i4", "I32"}, {"u8", "U64"}, {"i8", "I64"},  {"f2", "F16"}, {"f4", "F32"}, {"f8", "F64"}};
  for (const auto& [name, dtype] : dtypes) {
    const TensorEntry* e = many.find(name);
    REQUIRE_MESSAGE(e, name);
    CHECK(e->dtype == dtype);
    CHECK(e->shape == std::vector<int64_t>{2, 3});
    check_counts(*e);
  }
  CHECK(many.entries().size() == dtypes.size() + 4);
  CHECK(many.find("scalar")->shape.empty());
  CHECK(many.find("empty")->shape == std::vector<int64_t>{0, 3});
  CHECK(two.find("arr_0")->shape == std::vector<int64_t>{2, 3, 2, 3});
  CHECK(one.find("arr_0")->shape == std::vector<int64_t>{2, 3, 4});
  for (const Npz* file : {&many, &two, &one})
    for (const TensorEntry& e : file->entries()) check_counts(e);
}

TEST_CASE("npz: written and read back, with the header that NumPy writes") {
  const Folder folder;
  const std::vector<float> floats = {0, 1, 2, 3, 4};
  const std::vector<uint8_t> bytes = {0, 1, 2, 3, 4, 5};
  save_npz(folder / "a.npz", {{"arr_0", "U8", {1, 2, 1, 3}, bytes.data(), 6},
                              {"mu", "F32", {5}, floats.data(), 20},
                              {"one", "F32", {}, floats.data(), 4},
                              {"none", "F64", {0, 7}, nullptr, 0}});
  const Npz file(folder / "a.npz");
  REQUIRE(file.entries().size() == 4);
  for (const TensorEntry& e : file.entries()) check_counts(e);
  CHECK(file.find("arr_0")->shape == std::vector<int64_t>{1, 2, 1, 3});
  CHECK(file.find("one")->shape.empty());
  CHECK(file.find("none")->shape == std::vector<int64_t>{0, 7});
  Zip zip(folder / "a.npz");
  const std::string_view arr = zip.bytes(*zip.find("arr_0.npy"));
  CHECK(arr.size() == 128 + 6);
  CHECK(arr.substr(10, 61) == "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 1, 3");
  CHECK(arr[127] == '\n');
  CHECK(zip.bytes(*zip.find("mu.npy")).find("'shape': (5,), }") == 51);
  CHECK_FALSE(error_of([&] { save_npz(folder / "b.npz", {{"x", "BF16", {2}, bytes.data(), 4}}); }).empty());
  CHECK_FALSE(std::filesystem::exists(folder / "b.npz"));
}

TEST_CASE("zip: stored, deflated, zip64 fields, comments, no members") {
  const std::string text(100000, 'x');
  Planted wide = deflated("wide", text);
  wide.zip64 = true;
  Zip zip("a", archive({stored("a", "hello"), deflated("b", text), wide, stored("", "")}, "a comment"));
  REQUIRE(zip.members().size() == 4);
  CHECK(zip.bytes(*zip.find("a")) == "hello");
  for (int twice = 0; twice < 2; ++twice) CHECK(zip.bytes(*zip.find("b")) == text);
  CHECK(zip.bytes(*zip.find("wide")) == text);
  CHECK(zip.find("c") == nullptr);
  CHECK(Zip("a", archive({})).members().empty());
}

TEST_CASE("zip: hostile archives are refused with one line that says why") {
  const std::string text(1000, 'x');
  const auto with = [](Planted m, const std::function<void(Planted&)>& change) { return change(m), m; };
  const Planted good = stored("a", text), small = deflated("b", text);
  struct Bad {
    std::string what, file;
  };
  for (const Bad& row : {
           Bad{"truncated", ""},
           Bad{"truncated", "PK\3\4"},
           Bad{"truncated", archive({good}).substr(0, 1000)},
           Bad{"twice", archive({good, good})},
           Bad{"encrypted", archive({with(good, [](Planted& m) { m.flags = 1; })})},
           Bad{"method 14", archive({with(good, [](Planted& m) { m.method = 14; })})},
           // a second member b lies within the bytes of a
           Bad{"share bytes", archive({stored("a", archive({stored("b", text)})),
                                       with(stored("b", text), [](Planted& m) { m.offset = 31; })})},
           Bad{"reach into", archive({good}).replace(28, 2, "\xff\xff")},  // the length of its extra fields
           Bad{"header at byte", archive({with(good, [](Planted& m) { m.offset = 3; })})},
           Bad{"header at byte", archive({with(good, [](Planted& m) { m.offset = 1 << 30; })})},
           Bad{"disagree", archive({with(small, [](Planted& m) { m.local_size = 999; })})},
           Bad{"1001 of 1000", archive({with(good, [](Planted& m) { m.size = m.local_size = 1001; })})},
           Bad{"members that claim",
               archive({with(small, [](Planted& m) { m.size = m.local_size = 0xFFFFFFFE; })})},
           Bad{"more", archive({with(small, [](Planted& m) { m.size = m.local_size = 999; })})},
           Bad{"fewer", archive({with(small, [](Planted& m) { m.size = m.local_size = 1001; })})},
           Bad{"CRC", archive({with(good, [](Planted& m) { m.crc ^= 1; })})},
           Bad{"CRC", archive({with(small, [](Planted& m) { m.crc ^= 1; })})},
           Bad{"behind", archive({with(small, [](Planted& m) { m.bytes += "x"; })})},
           Bad{"cut", archive({with(small, [](Planted& m) { m.bytes.pop_back(); })})},
           Bad{"another kind", archive({with(small, [](Planted& m) { m.bytes[0] = char(7); })})},
           Bad{"zip directory", archive({good}) + archive({small})},
       }) {
    const std::string error = error_of([&] {
      Zip zip("a", row.file);
      for (const auto& m : zip.members()) zip.bytes(m);
    });
    INFO(row.what, ": ", error);
    CHECK(error.find(row.what) != std::string::npos);
    CHECK(error.rfind("a: ", 0) == 0);
    CHECK(error.find('\n') == std::string::npos);
  }
}

TEST_CASE("zip and npz: every cut and every flipped bit is refused or harmless") {
  const std::string whole =
      archive({deflated("x.npy", npy(kHeader, kTwelve)), stored("y.npy", npy(kHeader, kTwelve))});
  REQUIRE(error_of([&] { Npz("a", whole); }).empty());
  for (size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(error_of([&] { Npz("a", whole.substr(0, size)); }).empty());
  for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    std::string flipped = whole;
    flipped[bit / 8] = char(flipped[bit / 8] ^ (1 << bit % 8));
    error_of([&] {
      const Npz file("a", flipped);
      for (const TensorEntry& e : file.entries()) check_counts(e);
    });
  }
}

TEST_CASE("npy: headers in another guise are read, anything else is refused") {
  const auto read = [](const std::string& bytes) {
    return error_of([&] { check_counts(Npz("a", bytes).entries()[0]); });
  };
  for (const char* header : {
           "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }\n",
           "{\"shape\":(2,3),\"fortran_order\":False,\"descr\":\"<i2\"}",
           "{'shape': (6,), 'descr': '<i2', 'fortran_order': True}   \n",
           "{ 'shape' : ( 2 , 3 , ) , 'descr' : '<i2' , 'fortran_order' : False , }",
       })
    CHECK_MESSAGE(read(npy(header, kTwelve)) == "", header);
  CHECK(read(std::string("\x93NUMPY\x02\x00", 8) + little(kHeader.size(), 4) + kHeader + kTwelve) == "");
  for (const char* header : {
           "",
           "{}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3)",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3)} x",
           "{'descr': '<i2', 'fortran_order': False}",
           "{'descr': '<i2', 'fortran_order': 0, 'shape': (2, 3)}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (6)}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': 6}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (-2, -3)}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), 'shape': (2, 3)}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), 'more': 1}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 99999999999999999999)}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 4)}",
           "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2)}",
           "{'descr': '>i2', 'fortran_order': False, 'shape': (2, 3)}",
           "{'descr': '|O', 'fortran_order': False, 'shape': (2, 3)}",
           "{'descr': '<U3', 'fortran_order': False, 'shape': (1,)}",
           "{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (2, 3)}",
           "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (2, 3)}",
       }) {
    const std::string error = read(npy(header, kTwelve));
    CHECK_MESSAGE(error.rfind("a: arr_0: ", 0) == 0, header, " ", error);
  }
  CHECK(read(npy(kHeader, kTwelve).substr(0, 9)) != "");
  CHECK(read(std::string("\x93NUMPY\x04\x00", 8) + little(kHeader.size(), 4) + kHeader + kTwelve) != "");
  CHECK(error_of([] { Npz("a", archive({stored("readme.txt", "x")})); }).find("readme.txt") !=
        std::string::npos);
  CHECK(error_of([] { Npz("a", "nothing of the kind"); }).find(".npz") != std::string::npos);
}

}  // namespace dae
