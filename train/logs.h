// Line-by-line logs of a run: one JSON object a line, at full precision.
#pragma once
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

class JsonLines {
 public:
  // Opens `path` to append, after cutting it back to its whole lines with "step" up to last_step. Fault::data
  // if it cannot be written.
  JsonLines(const std::string& path, int64_t last_step);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  // Fault::data if there is no room; then the file ends with its last whole line.
  void write(int64_t step, const std::vector<std::pair<std::string, double>>& values);

 private:
  std::string path_;
  std::FILE* file_;
  uintmax_t whole_ = 0;  // bytes
};

// Progress on stderr: a bar that redraws itself on a terminal, a plain line now and then elsewhere.
class ProgressLine {
 public:
  ProgressLine(int64_t first_step, int64_t steps, int64_t batch, bool quiet);
  // After each step; wait: seconds spent waiting for data so far.
  void show(int64_t step, double wait, const std::vector<std::pair<std::string, double>>& values, bool log);
  void finish();  // leaves the bar's line
  double seconds() const;

 private:
  int64_t first_, steps_, batch_;
  bool quiet_, terminal_;
  double start_, shown_ = 0;
};
