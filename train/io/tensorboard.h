// TensorBoard event files. `tensorboard --logdir runs` shows the scalars and pictures of every run in the
// folder.
// A file is a sequence of TFRecords. A record is a length, its masked CRC32C, the bytes, and their masked
// CRC32C. The bytes are an Event of tensorflow/core/util/event.proto.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/io/logs.h"

namespace dae {

inline constexpr const char* kEventsFile = "events.out.tfevents.dae";  // TensorBoard looks for "tfevents"

class EventLog {
 public:
  // Opens `path` to append, after it has cut the file back to its whole events of steps up to last_step.
  // Throws Fault::data if the file cannot be written. clock returns the events' wall time in seconds since
  // 1970.
  EventLog(const std::string& path, int64_t last_step, std::function<double()> clock = wall_clock);
  // Writes one event of scalars. The format stores them as float32.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  // Writes one event with a picture, given as the bytes of a PNG file.
  void write_picture(int64_t step, const std::string& name, const std::string& png);

 private:
  static double wall_clock();
  void write_event(int64_t step, const std::string& what);
  AppendedFile file_;
  std::function<double()> clock_;
};

// Returns the CRC-32C (Castagnoli) of the bytes (RFC 3720, section B.4).
uint32_t crc32c(std::string_view bytes);

}  // namespace dae
