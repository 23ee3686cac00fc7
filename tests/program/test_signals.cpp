// A signal can come at any time, also during a matrix product. Its handler must run on the thread's own stack
// and never on memory of the heap.
#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <chrono>
#include <vector>

#include "kernels/matmul/gemm.h"

namespace dae {

namespace {

uintptr_t stack_begin = 0, stack_end = 0;
volatile sig_atomic_t handled = 0, off_the_stack = 0;

void on_alarm(int) {
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  handled = handled + 1;
  if (here < stack_begin || here >= stack_end) off_the_stack = off_the_stack + 1;
}

}  // namespace

TEST_CASE("a signal during a matrix product is handled on the thread's stack") {
  pthread_attr_t attributes;
  void* low = nullptr;
  size_t size = 0;
  REQUIRE(pthread_getattr_np(pthread_self(), &attributes) == 0);
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  stack_begin = reinterpret_cast<uintptr_t>(low), stack_end = stack_begin + size;

  struct sigaction action = {}, before = {};
  action.sa_handler = on_alarm;
  action.sa_flags = SA_RESTART;
  REQUIRE(sigaction(SIGALRM, &action, &before) == 0);
  const itimerval every = {{0, 200}, {0, 200}}, never = {};
  setitimer(ITIMER_REAL, &every, nullptr);

  // The depth of the product decides whether oneDNN packs into a stack or a heap buffer. Both occur here.
  std::vector<float> a(96 * 4096, 0.5f), b(96 * 4096, 0.25f), y(96 * 96);
  const auto start = std::chrono::steady_clock::now();
  bool right = true;
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(500))
    for (const int64_t k : {64, 128, 4096}) {
      gemm(y.data(), 96, a.data(), k, b.data(), 96, 96, 96, k, false, false);
      right = right && y[0] == 0.125f * float(k) && y[96 * 96 - 1] == 0.125f * float(k);
    }

  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  CHECK(handled > 10);
  CHECK(off_the_stack == 0);
  CHECK(right);
}

}  // namespace dae
