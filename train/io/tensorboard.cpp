#include "train/io/tensorboard.h"

#include <array>
#include <chrono>
#include <filesystem>

#include "data/files/file.h"

namespace dae {

namespace {

std::string little(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += char(value >> (8 * i) & 255);
  return out;
}
uint64_t little(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size(); ++i) value |= uint64_t(uint8_t(bytes[i])) << (8 * i);
  return value;
}

// Returns TFRecord's masked CRC. A CRC of data that contain CRCs is weak, so it is rotated and a constant is
// added.
uint32_t masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

std::string record(const std::string& bytes) {
  const std::string length = little(bytes.size(), 8);
  return length + little(masked_crc(length), 4) + bytes + little(masked_crc(bytes), 4);
}

// Protobuf. A field is its number and wire type, followed by
//   a varint            (wire type 0),
//   8 bytes             (1),
//   a length and bytes  (2),
//   4 bytes             (5).
std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 128; value >>= 7) out += char(value | 128);
  return out + char(value);
}
std::string key(int field, int type) { return std::string(1, char(field << 3 | type)); }
std::string integer(int field, int64_t value) {
  std::string out = key(field, 0);
  return out += varint(uint64_t(value));
}
std::string text(int field, const std::string& bytes) {
  std::string out = key(field, 2);
  out += varint(bytes.size());
  return out += bytes;
}
template <class T>
std::string number(int field, T value) {  // value: a float or a double
  return key(field, sizeof value == 8 ? 1 : 5) +
         std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

// Returns an Event. Its fields: wall_time 1, step 2, file_version 3, summary 5.
std::string event(double wall_time, int64_t step, const std::string& what) {
  return record(number(1, wall_time) + integer(2, step) + what);
}

// Returns a number of a PNG's header: 4 bytes, the most significant first.
int64_t header_number(const std::string& png, size_t at) {
  int64_t value = 0;
  for (size_t i = at; i < at + 4; ++i) value = value << 8 | uint8_t(png.at(i));
  return value;
}

// Returns the step of an event that event() wrote, -1 for another event.
int64_t step_of(std::string_view event) {
  if (event.size() < 11 || event[0] != (1 << 3 | 1) || event[9] != 2 << 3) return -1;
  uint64_t step = 0;
  for (size_t i = 10, shift = 0; i < event.size() && shift < 63; ++i, shift += 7) {
    step |= uint64_t(event[i] & 127) << shift;
    if (!(event[i] & 128)) return int64_t(step);
  }
  return -1;
}

// Returns the bytes of the leading whole events of steps up to last_step.
uintmax_t kept_bytes(const std::string& path, int64_t last_step) {
  std::error_code none;
  if (!std::filesystem::exists(path, none)) return 0;
  const std::string content = read_file(path);
  const std::string_view all = content;
  size_t at = 0;
  while (all.size() - at >= 16) {
    const std::string_view length = all.substr(at, 8), rest = all.substr(at + 12);
    const uint64_t size = little(length);
    if (little(all.substr(at + 8, 4)) != masked_crc(length) || rest.size() < 4 || size > rest.size() - 4)
      break;
    const std::string_view bytes = rest.substr(0, size);
    const int64_t step = step_of(bytes);
    if (little(rest.substr(size, 4)) != masked_crc(bytes) || step < 0 || step > last_step) break;
    at += 16 + size;
  }
  return at;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> t;
    for (uint32_t i = 0; i < 256; ++i) {
      t[i] = i;
      for (int bit = 0; bit < 8; ++bit) t[i] = t[i] >> 1 ^ (t[i] & 1 ? 0x82f63b78u : 0);
    }
    return t;
  }();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ table[(crc ^ uint8_t(c)) & 255];
  return ~crc;
}

double EventLog::wall_clock() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

EventLog::EventLog(const std::string& path, int64_t last_step, std::function<double()> clock)
    : file_(path, kept_bytes(path, last_step)), clock_(std::move(clock)) {
  if (file_.empty()) write_event(0, text(3, "brain.Event:2"));
}

void EventLog::write_event(int64_t step, const std::string& what) {
  file_.write(event(clock_(), step, what));
}

void EventLog::write(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  std::string summary;  // a list of Values with the fields tag 1, simple_value 2
  for (const auto& [name, value] : values) summary += text(1, text(1, name) + number(2, float(value)));
  write_event(step, text(5, summary));
}

// A Value has the fields tag 1 and image 4. The image has height 1, width 2, colorspace 3 (3: RGB) and
// encoded_image_string 4.
void EventLog::write_picture(int64_t step, const std::string& name, const std::string& png) {
  const std::string image =
      integer(1, header_number(png, 20)) + integer(2, header_number(png, 16)) + integer(3, 3) + text(4, png);
  write_event(step, text(5, text(1, text(1, name) + text(4, image))));
}

}  // namespace dae
