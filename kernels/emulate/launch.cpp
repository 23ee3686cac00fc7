// Launches on the emulated device: the settings, and the distribution of a launch's clusters over the cores.
#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "kernels/cpu/parallel.h"
#include "kernels/emulate/cluster.h"

namespace dae {

namespace emulate {

namespace {

Settings from_environment() {
  Settings s;
  if (const char* stream = std::getenv("DAE_STREAM")) {
    const std::string text = stream;
    if (text != "late" && text != "at_once")
      fail(Fault::usage, "DAE_STREAM: expected at_once or late, found \"{}\"", text);
    s.late = text == "late";
  }
  if (const char* count = std::getenv("DAE_MULTIPROCESSORS")) {
    s.multiprocessors = std::atoi(count);
    if (s.multiprocessors < 1 || s.multiprocessors > 1024)
      fail(Fault::usage, "DAE_MULTIPROCESSORS: expected 1 to 1024, found \"{}\"", count);
  }
  if (const char* copies = std::getenv("DAE_COPIES")) {
    const std::string text = copies;
    if (text != "early" && text != "late")
      fail(Fault::usage, "DAE_COPIES: expected early or late, found \"{}\"", text);
    s.copies = text == "early" ? Copies::early : Copies::late;
  }
  if (const char* cores = std::getenv("DAE_TENSOR_CORES")) {
    const std::string text = cores;
    if (text != "round" && text != "truncate")
      fail(Fault::usage, "DAE_TENSOR_CORES: expected round or truncate, found \"{}\"", text);
    s.tensor_cores = text == "truncate" ? TensorCores::truncate : TensorCores::round;
  }
  const char* value = std::getenv("DAE_SCHEDULE");
  if (!value) return s;
  const std::string text = value, name = text.substr(0, text.find(':'));
  const char* names[] = {"round_robin", "reverse", "one_warp_first", "random"};
  for (int i = 0; i < 4; ++i)
    if (name == names[i]) {
      s.schedule = kSchedules[i];
      if (text.size() > name.size()) s.seed = std::strtoull(text.c_str() + name.size() + 1, nullptr, 10);
      return s;
    }
  fail(Fault::usage,
       "DAE_SCHEDULE: expected round_robin, reverse, one_warp_first or random:SEED, found \"{}\"", text);
}

}  // namespace

Settings& settings() {
  static Settings s = from_environment();
  return s;
}

void set_schedule(Schedule schedule, uint64_t seed, Copies copies) {
  settings().schedule = schedule;
  settings().seed = seed;
  settings().copies = copies;
}
void set_tensor_cores(TensorCores arithmetic) { settings().tensor_cores = arithmetic; }
void set_compute_capability(int capability) { settings().capability = capability; }
void set_late(bool late) { settings().late = late; }
void set_multiprocessors(int count) { settings().multiprocessors = count; }

void run(const Launch& launch, const dim3& grid, unsigned cluster, const dim3& block, size_t shared_bytes,
         const std::function<void()>& kernel) {
  const int64_t most_shared = check_launch(launch, grid, cluster, block, int64_t(shared_bytes));
  const int64_t clusters = int64_t(grid.x / cluster) * grid.y * grid.z;
  const Settings set = settings();
  std::mutex mutex;
  std::vector<std::pair<int64_t, std::vector<Landing>>> late;
  parallel_for(clusters, 1, [&](int64_t i, int64_t) {
    thread_local Worker mine;
    worker = &mine;
    mine.kernel_name = launch.name, mine.kernel = &kernel, mine.set = set, mine.most_shared = most_shared;
    mine.run(i, grid, cluster, block, int64_t(shared_bytes));
    if (mine.error) std::rethrow_exception(std::exchange(mine.error, nullptr));
    if (mine.late.empty()) return;
    const std::lock_guard lock(mutex);
    late.emplace_back(i, std::move(mine.late));
  });
  std::sort(late.begin(), late.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& of_cluster : late) land(of_cluster.second);
}

}  // namespace emulate

}  // namespace dae
