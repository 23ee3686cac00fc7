// SIGINT and SIGTERM while work goes on: noted, so that it can be finished and saved.
#pragma once
#include <csignal>

// Signals are noted while one lives; a second one of a kind ends the program at once. One inside another adds
// nothing.
class SignalWatch {
 public:
  SignalWatch();
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;

 private:
  struct sigaction before_int_, before_term_;
};

int signal_caught();  // SIGINT or SIGTERM, if it came since the outermost watch began; otherwise 0
