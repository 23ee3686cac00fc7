// Signals that would end the program while it works. They are noted, so that the work can be finished and
// saved.
#pragma once
#include <array>
#include <csignal>

namespace dae {

// While a SignalWatch lives, these signals are only noted:
//   SIGINT, SIGTERM
//   SIGHUP    the terminal was closed; ignored under nohup
//   SIGPIPE   nobody reads the program's output any more
// A second SIGINT, SIGTERM or SIGHUP ends the program at once. A watch inside another adds nothing.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;

 private:
  std::array<struct sigaction, 4> before_;
};

// Returns the first signal since the outermost watch began, or 0.
int signal_caught();

}  // namespace dae
