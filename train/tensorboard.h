// TensorBoard event files: `tensorboard --logdir runs` shows the scalars of every run below the folder. A
// file is a sequence of TFRecords (length, masked CRC32C of it, bytes, masked CRC32C of them), each an Event
// of tensorflow/core/util/event.proto.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/logs.h"

inline constexpr const char* kEventsFile = "events.out.tfevents.dae";  // TensorBoard looks for "tfevents"

class EventLog {
 public:
  // Opens `path` to append, after cutting it back to its whole events of steps up to last_step. Fault::data
  // if it cannot be written.
  EventLog(const std::string& path, int64_t last_step);
  // One event of scalars (as float32: all that the format has room for). Its wall time is `step` seconds: a
  // real one would make the file of a resumed run differ from that of an uninterrupted one.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& values);

 private:
  AppendedFile file_;
};

// CRC-32C (Castagnoli), RFC 3720 B.4.
uint32_t crc32c(std::string_view bytes);
