#include "train/signals.h"

namespace {
volatile std::sig_atomic_t caught = 0;
int watches = 0;
}  // namespace

SignalWatch::SignalWatch() {
  if (watches++) return;
  caught = 0;
  struct sigaction action = {};
  action.sa_handler = [](int signal) { caught = signal; };
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, &before_int_);
  sigaction(SIGTERM, &action, &before_term_);
}

SignalWatch::~SignalWatch() {
  if (--watches) return;
  sigaction(SIGINT, &before_int_, nullptr);
  sigaction(SIGTERM, &before_term_, nullptr);
}

int signal_caught() { return caught; }
