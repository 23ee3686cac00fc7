// Runs the program and checks what a user sees when something is wrong.
#pragma once
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cctype>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <vector>

#include "tests/support/folder.h"

namespace dae {

inline std::string in_folder(const Folder& folder, const std::string& arguments) {
  std::string out;
  for (size_t i = 0; i < arguments.size(); ++i)
    if (arguments[i] == '@' && !std::isdigit(arguments[i + 1])) out += folder.path.string();
    else out += arguments[i];
  return out;
}

// Runs the program. @ in the arguments stands for the folder, except in RUN@STEP. Returns the exit code, -1
// if a signal ended the program; `error` receives its stderr. largest_file: the largest file that it can
// write, in bytes, as if the disk were full; 0: no limit.
inline int run(const Folder& folder, const std::string& arguments, std::string& error,
               int64_t largest_file = 0, const std::string& program = DAE_PROGRAM) {
  const std::string limit = largest_file ? "prlimit --fsize=" + std::to_string(largest_file) + " " : "";
  std::FILE* pipe =
      popen((limit + "'" + program + "' " + in_folder(folder, arguments) + " 2>&1 >/dev/null").c_str(), "r");
  error.clear();
  for (int c; (c = std::fgetc(pipe)) != EOF;) error += char(c);
  const int status = pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Runs the program in the same way, checks its exit code and returns its stdout.
inline std::string output(const Folder& folder, const std::string& arguments, int code = 0,
                          const std::string& program = DAE_PROGRAM) {
  std::FILE* pipe = popen(("'" + program + "' " + in_folder(folder, arguments)).c_str(), "r");
  std::string text;
  for (int c; (c = std::fgetc(pipe)) != EOF;) text += char(c);
  const int status = pclose(pipe);
  CHECK((WIFEXITED(status) ? WEXITSTATUS(status) : -1) == code);
  return text;
}

struct BadInput {
  std::string arguments;
  int code;
  std::vector<std::string> parts;  // what the line must contain
  int64_t largest_file = 0;
};

// Checks the exit code, that the error is exactly one line that begins with "dae: " and has all the parts,
// and that no half-written file is left.
inline void check(const Folder& folder, const BadInput& row, const std::string& program = DAE_PROGRAM) {
  std::string error;
  const int code = run(folder, row.arguments, error, row.largest_file, program);
  INFO(row.arguments, " -> ", code, ": ", error);
  CHECK(code == row.code);
  CHECK(error.rfind("dae: ", 0) == 0);
  CHECK(error.find('\n') == error.size() - 1);
  for (const std::string& part : row.parts) {
    INFO("expected in the line: ", part);
    CHECK(error.find(part) != std::string::npos);
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path))
    CHECK(entry.path().extension() != ".tmp");
}

inline void write(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

inline std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// Writes a safetensors file: the length of the header, the header, zeros.
inline void write_safetensors(const std::string& path, uint64_t length, const std::string& header,
                              size_t bytes) {
  std::string content;
  for (int i = 0; i < 8; ++i) content += char(length >> (8 * i));
  write(path, content + header + std::string(bytes, '\0'));
}
inline void write_safetensors(const std::string& path, const std::string& header, size_t bytes) {
  write_safetensors(path, header.size(), header, bytes);
}

}  // namespace dae
