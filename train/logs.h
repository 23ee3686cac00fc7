// Logs of a run, one JSON object a line at full precision, what its steps cost, and progress on the terminal.
#pragma once
#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/memory.h"

// A file that grows by whole pieces, after being cut back to its first `keep` bytes. Fault::data if it cannot
// be written.
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

class JsonLines {
 public:
  // Opens `path` to append, after cutting it back to its whole lines with "step" up to last_step. Fault::data
  // if it cannot be written.
  JsonLines(const std::string& path, int64_t last_step);
  // Fault::data if there is no room; then the file ends with its last whole line.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  void write(int64_t step, const std::vector<std::pair<std::string, std::string>>& values);

 private:
  AppendedFile file_;
};

// What the steps themselves cost, between begin() and end(), since the last line that was logged.
class StepCost {
 public:
  explicit StepCost(Device device) : device_(device) {}  // whose memory is watched
  void begin();
  void end();
  // Means a step of the time and of the tape's nodes that backward ran, and the most that tensors held.
  std::vector<std::pair<std::string, double>> take();

 private:
  Device device_;
  double began_ = 0, seconds_ = 0;
  int64_t began_nodes_ = 0, nodes_ = 0, peak_ = 0, steps_ = 0;
};

// Progress on stderr: a bar that redraws itself on a terminal, a plain line now and then elsewhere. Rate, ETA
// and data wait are those of the last half minute, pictures and checkpoints included.
class ProgressLine {
 public:
  ProgressLine(int64_t first_step, int64_t steps, int64_t batch, bool quiet, const char* unit = "step");
  // After each step; wait: seconds spent waiting for data so far.
  void show(int64_t step, double wait, const std::vector<std::pair<std::string, double>>& values, bool log);
  void note(const std::string& line);  // between two steps, unless quiet
  void finish();                       // leaves the bar's line
  double seconds() const;

 private:
  struct Moment {
    double seconds, wait;
    int64_t step;
  };
  int64_t steps_, batch_;
  bool quiet_, terminal_;
  const char* unit_;  // what is counted
  double start_, shown_ = 0;
  std::deque<Moment> recent_;
};
