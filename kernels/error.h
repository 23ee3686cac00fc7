// The one exception of the project. What it says is one line: what, where, expected, found, next step.
#pragma once
#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

// Whose fault it is; the number is the exit code of the program.
enum class Fault { internal = 1, usage = 2, data = 3 };

struct Error : std::runtime_error {
  Error(Fault fault, const std::string& line) : std::runtime_error(line), fault(fault) {}
  Fault fault;
};

template <class... A>
[[noreturn]] void fail(Fault fault, fmt::format_string<A...> format, A&&... args) {
  throw Error(fault, fmt::format(format, std::forward<A>(args)...));
}
