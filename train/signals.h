// Signals that end a program, while work goes on: noted, so that it can be finished and saved.
#pragma once
#include <array>
#include <csignal>

// SIGINT, SIGTERM, SIGHUP (its terminal is closed; not under nohup) and SIGPIPE (nobody reads its log any
// more) are noted while one lives; a second SIGINT, SIGTERM or SIGHUP ends the program at once. A watch
// inside another adds nothing.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;

 private:
  std::array<struct sigaction, 4> before_;
};

int signal_caught();  // the signal, if one came since the outermost watch began; otherwise 0
