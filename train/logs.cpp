#include "train/logs.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Bytes of the leading whole lines that belong to steps up to last_step.
uintmax_t kept_bytes(const std::string& path, int64_t last_step) {
  std::ifstream in(path, std::ios::binary);
  uintmax_t kept = 0;
  for (std::string line; std::getline(in, line) && !in.eof(); kept += line.size() + 1) {
    const nlohmann::json object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object() || !object.contains("step") || object["step"].get<int64_t>() > last_step) break;
  }
  return kept;
}

std::string clock(double seconds) {
  const int64_t s = std::llround(seconds);
  return s >= 3600 ? fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
                   : fmt::format("{}:{:02}", s / 60, s % 60);
}

}  // namespace

JsonLines::JsonLines(const std::string& path, int64_t last_step) : path_(path) {
  std::error_code error;
  if (std::filesystem::exists(path, error))
    std::filesystem::resize_file(path, kept_bytes(path, last_step), error);
  file_ = error ? nullptr : std::fopen(path.c_str(), "ab");
  if (!file_)
    fail(Fault::data, "log: {}: expected a writable file, found: {}", path,
         error ? error.message() : std::strerror(errno));
  std::setvbuf(file_, nullptr, _IONBF, 0);  // no half line kept back for later
  whole_ = std::filesystem::file_size(path);
}

JsonLines::~JsonLines() { std::fclose(file_); }

void JsonLines::write(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  std::string line = fmt::format("{{\"step\": {}", step);
  for (const auto& [name, value] : values) line += fmt::format(", \"{}\": {}", name, value);
  line += "}\n";
  if (std::fwrite(line.data(), 1, line.size(), file_) != line.size()) {
    const int reason = errno;
    std::error_code ignored;
    std::filesystem::resize_file(path_, whole_, ignored);
    fail(Fault::data, "log: {}: expected room for another line, found: {}", path_, std::strerror(reason));
  }
  whole_ += line.size();
}

ProgressLine::ProgressLine(int64_t first_step, int64_t steps, int64_t batch, bool quiet)
    : first_(first_step), steps_(steps), batch_(batch), quiet_(quiet), terminal_(isatty(2)), start_(now()) {}

double ProgressLine::seconds() const { return now() - start_; }

void ProgressLine::show(int64_t step, double wait, const std::vector<std::pair<std::string, double>>& values,
                        bool log) {
  const double spent = seconds();
  if (quiet_ || (step != steps_ && (terminal_ ? spent - shown_ < 0.1 : !log || spent - shown_ < 1))) return;
  shown_ = spent;
  const double done = double(step - first_), rate = done / std::max(spent, 1e-9);
  std::string line;
  if (terminal_) {
    const int filled = int(20 * step / steps_);
    line = "\r\033[K[" + std::string(filled, '#') + std::string(20 - filled, '.') + "] ";
  }
  line += fmt::format("step {}/{}  {:.1f} images/s  ETA {}  data wait {:.0f}%", step, steps_, rate * batch_,
                      clock(double(steps_ - step) / rate), 100 * wait / std::max(spent, 1e-9));
  for (const auto& [name, value] : values) line += fmt::format("  {} {:.4g}", name, value);
  std::fputs((line + (terminal_ ? "" : "\n")).c_str(), stderr);
  std::fflush(stderr);
}

void ProgressLine::finish() {
  if (terminal_ && !quiet_ && shown_ > 0) std::fputs("\n", stderr);
}
