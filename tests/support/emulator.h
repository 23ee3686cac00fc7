// Shared by the tests of the emulated device. A kernel without bugs must give the exact result in every
// schedule. A kernel with one bug must stop with a message that names kernel, block, thread and line, or,
// where the hardware would report nothing, give a wrong result in at least one schedule. Numbers are small
// integers, so that sums are exact.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "kernels/device/device.h"
#include "kernels/device/philox.h"
#include "tests/support/device_array.h"

namespace dae {

inline const Cuda kCudaDevice = device();
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Found {
  std::set<std::string> errors;
  int wrong = 0, right = 0;  // how many schedules gave a wrong or the right result
};

// Runs f in every schedule, and in the random one with eight seeds. f returns whether the result is right.
template <class F>
Found in_every_schedule(F f, emulate::Copies copies = emulate::Copies::late) {
  Found found;
  for (emulate::Schedule s : emulate::kSchedules)
    for (uint64_t seed = 0; seed < (s == emulate::Schedule::random ? 8 : 1); ++seed) {
      emulate::set_schedule(s, seed, copies);
      try {
        const bool right = f();
        check(cudaStreamSynchronize(gpu_stream()), "waiting");
        ++(right ? found.right : found.wrong);
      } catch (const Error& e) {
        found.errors.insert(e.what());
        ++found.wrong;
      }
    }
  emulate::set_schedule(emulate::Schedule::round_robin);
  return found;
}

// Checks that every schedule stopped with a message that has kernel, block, thread, line and these words.
inline void check_stopped(const Found& found, const std::string& kernel, const std::string& words) {
  CHECK(found.right == 0);
  REQUIRE(!found.errors.empty());
  const std::regex form(
      "kernel " + kernel +
      R"(: block \(\d+, 0, 0\), thread \(\d+, 0, 0\), tests/kernels/test_emulator[a-z_]*.cpp:\d+: .*)");
  for (const std::string& error : found.errors) {
    CAPTURE(error);
    CHECK(std::regex_match(error, form));
    CHECK(error.find(words) != std::string::npos);
  }
}
inline void check_right(const Found& found) {
  for (const std::string& error : found.errors) MESSAGE(error);
  CHECK(found.wrong == 0);
  CHECK(found.right == 11);
}
inline void check_caught(const Found& found) { CHECK(found.wrong > 0); }

enum class Bug { none, planted };

}  // namespace dae
