// Logs of a run (one JSON object per line, at full precision), the cost of its steps, and progress on the
// terminal.
#pragma once
#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/memory.h"

namespace dae {

// A file that grows by whole pieces. On opening it is cut back to its first `keep` bytes. Throws Fault::data
// if it cannot be written; it then ends with its last whole piece.
class AppendedFile {
 public:
  AppendedFile(const std::string& path, uintmax_t keep);
  ~AppendedFile();
  AppendedFile(const AppendedFile&) = delete;
  bool empty() const { return whole_ == 0; }
  void write(std::string_view piece);

 private:
  std::string path_;
  std::FILE* file_;
  uintmax_t whole_;  // bytes
};

// A log with one JSON object per line.
class JsonLines {
 public:
  // Opens `path` to append, after it has cut the file back to its whole lines with "step" up to last_step.
  // Throws Fault::data if the file cannot be written.
  JsonLines(const std::string& path, int64_t last_step);
  // Writes a line with the step and the values. Throws Fault::data if there is no room; the file then ends
  // with its last whole line.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  void write(int64_t step, const std::vector<std::pair<std::string, std::string>>& values);

 private:
  AppendedFile file_;
};

// Measures the cost of the steps, between begin() and end(), since the last take().
class StepCost {
 public:
  explicit StepCost(Device device) : device_(device) {}  // the device whose memory is watched
  void begin();
  void end();
  // Returns means per step of the time and of the number of tape nodes that backward ran, and the most bytes
  // that tensors held. Starts anew.
  std::vector<std::pair<std::string, double>> take();

 private:
  Device device_;
  double began_ = 0, seconds_ = 0;
  int64_t began_nodes_ = 0, nodes_ = 0, peak_ = 0, steps_ = 0;
};

// Shows progress on stderr: a bar that redraws itself on a terminal, otherwise a plain line now and then.
// Rate, ETA and data wait are those of the last half minute, including pictures and checkpoints.
class ProgressLine {
 public:
  ProgressLine(int64_t first_step, int64_t steps, int64_t batch, bool quiet, const char* unit = "step");
  // To be called after each step. wait: seconds spent waiting for data so far. log: the step is a logged one.
  void show(int64_t step, double wait, const std::vector<std::pair<std::string, double>>& values, bool log);
  // Prints a line between two steps, unless quiet.
  void note(const std::string& line);
  // Ends the bar's line.
  void finish();
  // Returns the seconds since the start.
  double seconds() const;

 private:
  struct Moment {
    double seconds, wait;
    int64_t step;
  };
  int64_t steps_, batch_;
  bool quiet_, terminal_;
  const char* unit_;  // what is counted: "step", "image"
  double start_, shown_ = 0;
  std::deque<Moment> recent_;
};

}  // namespace dae
