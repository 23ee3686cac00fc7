// TensorBoard event files: `tensorboard --logdir runs` shows scalars and pictures of every run below the
// folder. A file is a sequence of TFRecords (length, masked CRC32C of it, bytes, masked CRC32C of them), each
// an Event of tensorflow/core/util/event.proto.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/logs.h"

inline constexpr const char* kEventsFile = "events.out.tfevents.dae";  // TensorBoard looks for "tfevents"

class EventLog {
 public:
  // Opens `path` to append, after cutting it back to its whole events of steps up to last_step. Fault::data
  // if it cannot be written. clock: the events' wall time, seconds since 1970.
  EventLog(const std::string& path, int64_t last_step, std::function<double()> clock = wall_clock);
  // One event of scalars, as float32: all that the format has room for.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  void write_picture(int64_t step, const std::string& name, const std::string& png);

 private:
  static double wall_clock();
  void write_event(int64_t step, const std::string& what);
  AppendedFile file_;
  std::function<double()> clock_;
};

// CRC-32C (Castagnoli), RFC 3720 B.4.
uint32_t crc32c(std::string_view bytes);
