// TensorBoard events: the framing, and the content as a reader that knows only the format finds it.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstring>
#include <ctime>
#include <filesystem>

#include "data/files/file.h"
#include "data/images/image.h"
#include "kernels/device/error.h"
#include "train/io/tensorboard.h"

namespace dae {

namespace {

struct Event {
  double wall_time = -1;
  int64_t step = -1;
  std::string version;
  std::vector<std::pair<std::string, float>> values;
  std::vector<std::pair<std::string, std::string>> pictures;  // PNG
};

// A field of a message. `bytes` is its payload: a varint as 8 bytes, everything else as it is. This reader
// shares no code with the encoder.
struct Field {
  unsigned number, type;
  std::string bytes;
};

std::vector<Field> fields(const std::string& message) {
  std::vector<Field> out;
  size_t at = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      REQUIRE(at < message.size());
      const auto byte = uint8_t(message[at++]);
      value |= uint64_t(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.size()) {
    const uint64_t key = varint();
    Field field{unsigned(key >> 3), unsigned(key & 7), {}};
    size_t size = field.type == 1 ? 8 : 4;
    if (field.type == 0) {
      const uint64_t value = varint();
      field.bytes.assign(reinterpret_cast<const char*>(&value), 8);
    } else {
      REQUIRE((field.type == 1 || field.type == 2 || field.type == 5));
      if (field.type == 2) size = varint();
      REQUIRE(at + size <= message.size());
      field.bytes = message.substr(at, size);
      at += size;
    }
    out.push_back(field);
  }
  return out;
}

template <class T>
T as(const std::string& bytes) {
  T value;
  REQUIRE(bytes.size() == sizeof value);
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

uint32_t masked(const std::string& bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

std::vector<Event> read_events(const std::string& path) {
  const std::string all = read_file(path);
  std::vector<Event> out;
  for (size_t at = 0; at < all.size();) {
    REQUIRE(at + 12 <= all.size());
    const auto size = as<uint64_t>(all.substr(at, 8));
    CHECK(as<uint32_t>(all.substr(at + 8, 4)) == masked(all.substr(at, 8)));
    REQUIRE(at + 16 + size <= all.size());
    const std::string message = all.substr(at + 12, size);
    CHECK(as<uint32_t>(all.substr(at + 12 + size, 4)) == masked(message));
    at += 16 + size;
    Event event;
    for (const Field& f : fields(message)) {
      if (f.number == 1) event.wall_time = as<double>(f.bytes);
      else if (f.number == 2) event.step = as<int64_t>(f.bytes);
      else if (f.number == 3) event.version = f.bytes;
      else {
        REQUIRE(f.number == 5);
        for (const Field& value : fields(f.bytes)) {
          REQUIRE(value.number == 1);
          const std::vector<Field> parts = fields(value.bytes);
          REQUIRE(parts.size() == 2);
          CHECK(parts[0].number == 1);
          if (parts[1].number == 4) {
            const std::vector<Field> image = fields(parts[1].bytes);
            REQUIRE(image.size() == 4);
            CHECK(as<int64_t>(image[0].bytes) == 3);  // height, width, colours
            CHECK(as<int64_t>(image[1].bytes) == 500);
            CHECK(as<int64_t>(image[2].bytes) == 3);
            event.pictures.push_back({parts[0].bytes, image[3].bytes});
            continue;
          }
          CHECK(parts[1].number == 2);
          event.values.push_back({parts[0].bytes, as<float>(parts[1].bytes)});
        }
      }
    }
    out.push_back(event);
  }
  return out;
}

const std::string kPath =
    (std::filesystem::temp_directory_path() / ("dae-events-" + std::to_string(getpid()))).string();

struct Fresh {
  Fresh() { std::filesystem::remove(kPath); }
  ~Fresh() { std::filesystem::remove(kPath); }
};

}  // namespace

TEST_CASE("CRC-32C of RFC 3720's examples") {
  CHECK(crc32c("123456789") == 0xE3069283u);
  CHECK(crc32c(std::string(32, '\0')) == 0x8A9136AAu);
  CHECK(crc32c(std::string(32, '\xff')) == 0x62A8AB43u);
  CHECK(crc32c("") == 0);
}

TEST_CASE("what is written is read back, by the format alone") {
  Fresh fresh;
  const std::vector<uint8_t> pixels(3 * 500 * 3, 77);
  save_png(kPath, pixels.data(), 3, 500, 3);
  const std::string png = read_file(kPath);
  std::filesystem::remove(kPath);
  const double before = double(std::time(nullptr));
  {
    EventLog log(kPath, 0);
    log.write(1, {{"loss_d", 1.25}, {"loss_g", -3e-5}});
    log.write(300, {{std::string(200, 'n'), 1e30}});  // lengths and a step of two bytes
    log.write(int64_t{1} << 40, {});
    log.write_picture((int64_t{1} << 40) + 1, "sample", png);
  }
  const std::vector<Event> events = read_events(kPath);
  REQUIRE(events.size() == 5);
  for (const Event& event : events) {
    CHECK(event.wall_time >= before);
    CHECK(event.wall_time <= double(std::time(nullptr)) + 1);
  }
  CHECK(events[0].version == "brain.Event:2");
  CHECK(events[1].step == 1);
  CHECK(events[1].values ==
        std::vector<std::pair<std::string, float>>{{"loss_d", 1.25f}, {"loss_g", -3e-5f}});
  CHECK(events[2].step == 300);
  CHECK(events[2].values[0] == std::pair(std::string(200, 'n'), 1e30f));
  CHECK(events[3].step == int64_t{1} << 40);
  CHECK(events[4].pictures == std::vector<std::pair<std::string, std::string>>{{"sample", png}});
}

TEST_CASE("opening again cuts later and damaged events; what follows stands as in an uninterrupted run") {
  Fresh fresh;
  const auto write = [](int64_t from, int64_t to, int64_t last_step) {
    EventLog log(kPath, last_step, [] { return 5.0; });
    for (int64_t step = from; step <= to; ++step) log.write(step, {{"loss", 0.5 * double(step)}});
  };
  write(1, 200, 0);
  const std::string whole = read_file(kPath);
  write(151, 200, 150);
  CHECK(read_file(kPath) == whole);

  for (const size_t keep : {whole.size() - 1, whole.size() - 4, whole.size() - 20, size_t{5}, size_t{0}}) {
    write_file(kPath, whole.substr(0, keep));
    EventLog(kPath, 200, [] { return 5.0; });
    const int64_t last = read_events(kPath).back().step;
    CHECK(last == (keep > 100 ? 199 : 0));
    write(last + 1, 200, last);
    CHECK(read_file(kPath) == whole);
  }
  std::string damaged = whole;
  damaged[whole.size() / 2] ^= 1;
  write_file(kPath, damaged);
  EventLog(kPath, 200);
  const std::string kept = read_file(kPath);
  CHECK(kept.size() > whole.size() / 3);
  CHECK(kept.size() < whole.size() / 2);
  CHECK(kept == whole.substr(0, kept.size()));
}

TEST_CASE("an event file that cannot be written is an error of data") {
  try {
    EventLog("/proc/none/events", 0);
    FAIL("it opened");
  } catch (const Error& e) { CHECK(e.fault == Fault::data); }
}

}  // namespace dae
