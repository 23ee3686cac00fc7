// The thread pool of parallel_for(). The machine may be shared with other processes. Therefore a loop never
// waits for a thread that has not begun to work, and no thread spins for long:
//   - The thread that begins a loop takes chunks itself until none is left. Then it waits only for chunks
//     that other threads have begun.
//   - A thread without work looks for work for some microseconds and then sleeps in the operating system. The
//     scheduler runs it soon after it is woken, because it has used less than its share of the processor.
#include "kernels/cpu/parallel.h"

#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace dae {

namespace {

using Clock = std::chrono::steady_clock;
using Word = std::atomic<uint32_t>;

void futex(Word& word, int operation, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), operation, value, nullptr, nullptr, 0);
}
void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// A thread looks for work for this long, because loops follow each other within microseconds and waking a
// thread takes as long.
constexpr auto kSpin = std::chrono::microseconds(40);
// If the spinning thread was interrupted for this long, another thread wants its processor, so it goes to
// sleep.
constexpr auto kPreempted = std::chrono::microseconds(15);

// Calls done() until it returns true, or until kSpin or kPreempted is exceeded. Returns whether done() became
// true.
template <class F>
bool spin(F done) {
  for (auto begin = Clock::now(), last = begin;;) {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      pause();
    }
    const auto now = Clock::now();
    if (now - begin > kSpin || now - last > kPreempted) return done();
    last = now;
  }
}

thread_local bool in_loop = false;

class Pool {
 public:
  Pool() { resize(initial_count()); }
  ~Pool() { resize(1); }

  int count() const { return int(threads_.size()) + 1; }
  void resize(int count) {
    stop_ = true;
    epoch_.fetch_add(1);
    futex(epoch_, FUTEX_WAKE_PRIVATE, INT32_MAX);
    for (std::thread& t : threads_) t.join();
    threads_.clear();
    stop_ = false;
    for (int i = 1; i < count; ++i) threads_.emplace_back([this, seen = epoch_.load()] { serve(seen); });
  }

  void run(int64_t chunks, void (*call)(void*, int64_t), void* f) {
    std::unique_lock lock(one_loop_, std::defer_lock);
    if (in_loop || threads_.empty() || !lock.try_lock()) {
      for (int64_t c = 0; c < chunks; ++c) call(f, c);
      return;
    }
    chunks_ = chunks, call_ = call, f_ = f;
    next_ = 0;
    state_.store(kOpen, std::memory_order_release);
    epoch_.fetch_add(1);
    if (const uint32_t sleeping = sleeping_.load())
      futex(epoch_, FUTEX_WAKE_PRIVATE, uint32_t(std::min<int64_t>(chunks - 1, sleeping)));
    take();
    state_.fetch_and(~kOpen);  // from now on no thread of the pool enters the loop
    const auto all_left = [this] { return state_.load(std::memory_order_acquire) == 0; };
    while (!spin(all_left)) {
      caller_sleeps_ = true;
      if (const uint32_t inside = state_.load()) futex(state_, FUTEX_WAIT_PRIVATE, inside);
      caller_sleeps_ = false;
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  static int initial_count() {
    if (const char* text = std::getenv("OMP_NUM_THREADS"))
      if (const int count = std::atoi(text); count > 0) return std::min(count, 1024);
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
  }

  void serve(uint32_t seen) {
    sigset_t signals;  // the program's own threads handle all signals, except this thread's faults
    sigfillset(&signals);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&signals, fault);
    pthread_sigmask(SIG_SETMASK, &signals, nullptr);
    while (true) {
      const auto called = [&] { return epoch_.load(std::memory_order_acquire) != seen; };
      while (!spin(called)) {
        sleeping_.fetch_add(1);
        futex(epoch_, FUTEX_WAIT_PRIVATE, seen);
        sleeping_.fetch_sub(1);
      }
      if (stop_) return;
      seen = epoch_.load();
      uint32_t state = state_.load();
      while (state & kOpen)
        if (state_.compare_exchange_weak(state, state + 1)) {
          take();
          if (state_.fetch_sub(1) == 1 && caller_sleeps_) futex(state_, FUTEX_WAKE_PRIVATE, 1);
          break;
        }
    }
  }

  void take() {
    in_loop = true;
    for (int64_t c; (c = next_.fetch_add(1, std::memory_order_relaxed)) < chunks_;) {
      try {
        call_(f_, c);
      } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (!error_ || c < error_chunk_) error_ = std::current_exception(), error_chunk_ = c;
        next_ = chunks_;
      }
    }
    in_loop = false;
  }

  static constexpr uint32_t kOpen = 1u << 31;

  std::vector<std::thread> threads_;
  std::mutex one_loop_;
  std::atomic<bool> stop_ = false, caller_sleeps_ = false;
  Word epoch_ = 0;     // the number of loops; threads without work wait for a change
  Word sleeping_ = 0;  // the number of threads that sleep
  Word state_ = 0;     // the number of the pool's threads in the loop, and kOpen if more may enter
  // The current loop; written only while no thread of the pool is in it.
  int64_t chunks_ = 0;
  void (*call_)(void*, int64_t) = nullptr;
  void* f_ = nullptr;
  alignas(64) std::atomic<int64_t> next_ = 0;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  int64_t error_chunk_ = 0;
};

Pool& pool() {
  static Pool p;
  return p;
}

}  // namespace

int thread_count() { return pool().count(); }
void set_thread_count(int count) {
  if (count != pool().count()) pool().resize(count);
}
void run_chunks(int64_t chunks, void (*call)(void* f, int64_t chunk), void* f) {
  pool().run(chunks, call, f);
}

}  // namespace dae
