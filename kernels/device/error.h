// The only exception type of the project. Its message is one line that says what is wrong, where, what was
// expected, what was found, and the next step.
#pragma once
#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace dae {

// The cause of an error: a bug or a failure of the machine, a wrong use of the program, or wrong data. The
// number is the exit code of the program.
enum class Fault { internal = 1, usage = 2, data = 3 };

struct Error : std::runtime_error {
  Error(Fault fault, const std::string& line) : std::runtime_error(line), fault(fault) {}
  Fault fault;
};

// Throws an Error with the formatted line (fmt).
template <class... A>
[[noreturn]] void fail(Fault fault, fmt::format_string<A...> format, A&&... args) {
  throw Error(fault, fmt::format(format, std::forward<A>(args)...));
}

}  // namespace dae
