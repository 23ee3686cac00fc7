// Loops on the thread pool: every chunk runs once, for every number of threads and every thread that starts a
// loop.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernels/cpu/parallel.h"

namespace dae {

namespace {

struct Threads {
  explicit Threads(int count) : before(thread_count()) { set_thread_count(count); }
  ~Threads() { set_thread_count(before); }
  int before;
};

std::vector<int> visits(int64_t n, int64_t grain) {
  std::vector<int> seen(size_t(n), 0);
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) ++seen[size_t(i)];
  });
  return seen;
}

}  // namespace

TEST_CASE("every index is visited once") {
  for (const int count : {1, 2, 3, 7}) {
    const Threads threads(count);
    CHECK(thread_count() == count);
    for (const int64_t n : {0, 1, 2, 31, 1000, 4099})
      for (const int64_t grain : {1, 3, 64, 5000}) CHECK(visits(n, grain) == std::vector<int>(size_t(n), 1));
  }
}

// The chunks are long enough that the pool's threads take part, and the pauses between loops long enough that
// they fall asleep.
TEST_CASE("several threads take part, awake or asleep, and no chunk is lost") {
  const Threads threads(3);
  std::atomic<bool> met = false;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::thread::id> by(8);
    std::atomic<int> calls = 0;
    parallel_for(8, 1, [&](int64_t i, int64_t) {
      by[size_t(i)] = std::this_thread::get_id();
      ++calls;
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    });
    CHECK(calls == 8);
    for (const std::thread::id& id : by) met = met || id != by[0];
    if (round % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(met);
}

TEST_CASE("a loop in a loop, and loops of several threads at once") {
  const Threads threads(3);
  std::vector<std::atomic<int>> seen(1000);
  parallel_for(10, 1, [&](int64_t outer, int64_t) {
    parallel_for(100, 7, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[size_t(100 * outer + i)];
    });
  });
  for (const auto& s : seen) CHECK(s == 1);
  std::vector<std::thread> callers;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&] {
      for (int round = 0; round < 300; ++round) wrong += visits(97, 5) != std::vector<int>(97, 1);
    });
  for (std::thread& t : callers) t.join();
  CHECK(wrong == 0);
}

TEST_CASE("the exception of the lowest chunk arrives, and the pool works on") {
  const Threads threads(3);
  for (int round = 0; round < 50; ++round) {
    std::string found;
    try {
      parallel_for(64, 1, [](int64_t i, int64_t) {
        if (i % 9 == 5) throw std::runtime_error(std::to_string(i));
      });
    } catch (const std::runtime_error& e) { found = e.what(); }
    CHECK(found == "5");
    CHECK(visits(33, 2) == std::vector<int>(33, 1));
  }
}

TEST_CASE("sums have the same bits for any number of threads") {
  std::vector<double> sums;
  for (const int count : {1, 2, 3, 5}) {
    const Threads threads(count);
    sums.push_back(ordered_sum(1'000'003, [](int64_t begin, int64_t end) {
      double s = 0;
      for (int64_t i = begin; i < end; ++i) s += std::sin(double(i));
      return s;
    }));
  }
  for (const double s : sums) CHECK(s == sums[0]);
}

}  // namespace dae
