#include "train/io/logs.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/autograd.h"
#include "engine/memory.h"
#include "kernels/device/error.h"

namespace dae {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Returns the bytes of the leading whole lines that belong to steps up to last_step.
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

constexpr double kRecent = 30;  // seconds over which rates are averaged

// Returns whether stderr is a terminal whose line can be redrawn.
bool is_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(2) && kind && std::string_view(kind) != "dumb";
}

size_t columns() {
  winsize size = {};
  return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

}  // namespace

AppendedFile::AppendedFile(const std::string& path, uintmax_t keep) : path_(path), whole_(keep) {
  std::error_code error;
  if (std::filesystem::exists(path, error)) std::filesystem::resize_file(path, keep, error);
  file_ = error ? nullptr : std::fopen(path.c_str(), "ab");
  if (!file_)
    fail(Fault::data, "log: {}: expected a writable file, found: {}", path,
         error ? error.message() : std::strerror(errno));
  std::setvbuf(file_, nullptr, _IONBF, 0);  // no buffer: a piece is written at once or reported
}

AppendedFile::~AppendedFile() { std::fclose(file_); }

void AppendedFile::write(std::string_view piece) {
  if (std::fwrite(piece.data(), 1, piece.size(), file_) != piece.size()) {
    const int reason = errno;
    std::error_code ignored;
    std::filesystem::resize_file(path_, whole_, ignored);
    fail(Fault::data, "log: {}: expected room for another entry, found: {}", path_, std::strerror(reason));
  }
  whole_ += piece.size();
}

JsonLines::JsonLines(const std::string& path, int64_t last_step) : file_(path, kept_bytes(path, last_step)) {}

void JsonLines::write(int64_t step, const std::vector<std::pair<std::string, double>>& values) {
  std::string line = fmt::format("{{\"step\": {}", step);
  for (const auto& [name, value] : values) line += fmt::format(", \"{}\": {}", name, value);
  file_.write(line + "}\n");
}

void JsonLines::write(int64_t step, const std::vector<std::pair<std::string, std::string>>& values) {
  nlohmann::ordered_json line{{"step", step}};
  for (const auto& [name, value] : values) line[name] = value;
  file_.write(line.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n");
}

void StepCost::begin() {
  reset_peak();
  began_ = now(), began_nodes_ = nodes_run();
}

void StepCost::end() {
  seconds_ += now() - began_, nodes_ += nodes_run() - began_nodes_;
  peak_ = std::max(peak_, memory_stats(device_).peak);
  ++steps_;
}

std::vector<std::pair<std::string, double>> StepCost::take() {
  const double steps = double(std::max<int64_t>(steps_, 1));
  std::vector<std::pair<std::string, double>> out = {{"step_seconds", seconds_ / steps},
                                                     {"backward_nodes", double(nodes_) / steps},
                                                     {"peak_bytes", double(peak_)}};
  *this = StepCost(device_);
  return out;
}

ProgressLine::ProgressLine(int64_t first_step, int64_t steps, int64_t batch, bool quiet, const char* unit)
    : steps_(steps), batch_(batch), quiet_(quiet), terminal_(is_terminal()), unit_(unit), start_(now()) {
  recent_.push_back({0, 0, first_step});
}

double ProgressLine::seconds() const { return now() - start_; }

void ProgressLine::show(int64_t step, double wait, const std::vector<std::pair<std::string, double>>& values,
                        bool log) {
  const double spent = seconds();
  while (recent_.size() > 1 && spent - recent_[1].seconds > kRecent) recent_.pop_front();
  const Moment then = recent_.front();
  if (spent - recent_.back().seconds > kRecent / 100) recent_.push_back({spent, wait, step});
  if (quiet_ || (step != steps_ && (terminal_ ? spent - shown_ < 0.1 : !log || spent - shown_ < 1))) return;
  shown_ = spent;
  const double time = std::max(spent - then.seconds, 1e-9), rate = double(step - then.step) / time;
  std::string line;
  if (terminal_) {
    const int filled = int(20 * step / steps_);
    line = fmt::format("[{:.<20}] ", std::string(size_t(filled), '#'));
  }
  line += fmt::format("{} {}/{}  {:.1f} images/s  ETA {}  data wait {:.0f}%", unit_, step, steps_,
                      rate * double(batch_), clock(double(steps_ - step) / rate),
                      100 * (wait - then.wait) / time);
  const size_t room = terminal_ ? columns() - 1 : std::string::npos;  // a line that wraps cannot be redrawn
  for (const auto& [name, value] : values) {
    const std::string more = fmt::format("  {} {:.4g}", name, value);
    if (line.size() + more.size() > room) break;
    line += more;
  }
  std::fputs((terminal_ ? "\r\033[K" + line.substr(0, room) : line + "\n").c_str(), stderr);
  std::fflush(stderr);
}

void ProgressLine::note(const std::string& line) {
  if (!quiet_) std::fputs(((terminal_ ? "\r\033[K" : "") + line + "\n").c_str(), stderr);
}

void ProgressLine::finish() {
  if (terminal_ && !quiet_ && shown_ > 0) std::fputs("\n", stderr);
}

}  // namespace dae
