#include "train/run/signals.h"

namespace dae {

namespace {
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
volatile std::sig_atomic_t caught = 0;
int watches = 0;
}  // namespace

SignalWatch::SignalWatch() {
  if (watches++) return;
  caught = 0;
  for (size_t i = 0; i < before_.size(); ++i) {
    struct sigaction action = {};
    action.sa_handler = [](int signal) {
      if (caught == 0) caught = signal;
    };
    // Every write to a broken pipe raises SIGPIPE, so its handler stays.
    action.sa_flags = kSignals[i] == SIGPIPE ? 0 : int(SA_RESETHAND);
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (kSignals[i] != SIGHUP || before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

SignalWatch::~SignalWatch() {
  if (--watches) return;
  for (size_t i = 0; i < before_.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  if (caught == SIGPIPE) std::signal(SIGPIPE, SIG_IGN);  // later output meets the broken pipe again
}

int signal_caught() { return caught; }

}  // namespace dae
