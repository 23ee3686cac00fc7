// Launches on the emulated device: its settings, the clusters of a launch over the cores, and the host
// functions of kernels/kernel.h.
#include <omp.h>

#include <algorithm>
#include <cstdlib>

#include "kernels/emulate/cluster.h"

namespace emulate {

namespace {

Settings from_environment() {
  Settings s;
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

void run(const char* name, const dim3& grid, unsigned cluster, const dim3& block, size_t shared_bytes,
         const std::function<void()>& kernel) {
  const int64_t threads = int64_t(block.x) * block.y * block.z;
  if (threads < 1 || threads > 1024)
    fail(Fault::internal, "kernel {}: {} threads a block; expected 1 to 1024", name, threads);
  if (int64_t(shared_bytes) > kMaxShared)
    fail(Fault::internal, "kernel {}: {} bytes of shared memory; at most {}", name, shared_bytes, kMaxShared);
  if (cluster < 1 || cluster > 8 || grid.x % cluster)
    fail(Fault::internal, "kernel {}: clusters of {} in a grid of {} blocks along x", name, cluster, grid.x);
  const int64_t clusters = int64_t(grid.x / cluster) * grid.y * grid.z;
  const Settings set = settings();
  std::exception_ptr error;
  int64_t error_at = clusters;
  std::vector<std::pair<int64_t, std::vector<Landing>>> late;
#pragma omp parallel for schedule(dynamic) if (clusters > 1)
  for (int64_t i = 0; i < clusters; ++i) {
    int64_t failed;
#pragma omp atomic read
    failed = error_at;
    if (failed < i) continue;
    thread_local Worker mine;
    worker = &mine;
    mine.kernel_name = name, mine.kernel = &kernel, mine.set = set;
    std::exception_ptr thrown;
    try {
      mine.run(i, grid, cluster, block, int64_t(shared_bytes));
      thrown = mine.error;
      mine.error = nullptr;
    } catch (...) { thrown = std::current_exception(); }
    if (!thrown && mine.late.empty()) continue;
#pragma omp critical(emulate_end_of_cluster)
    {
      if (thrown && i < error_at) error_at = i, error = thrown;
      if (!thrown) late.emplace_back(i, std::move(mine.late));
    }
  }
  if (error) std::rethrow_exception(error);
  std::sort(late.begin(), late.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& of_cluster : late) land(of_cluster.second);
}

}  // namespace emulate

int compute_capability(Cuda) { return emulate::settings().capability; }
int multiprocessors(Cuda) { return 3; }

void* workspace(Cuda, size_t bytes) {
  static std::vector<std::unique_ptr<unsigned char[]>> kept;
  static size_t size = 0;
  if (bytes > size) {
    size = std::max(bytes, 2 * size);
    kept.push_back(std::make_unique<unsigned char[]>(size));
  }
  if (bytes) std::memset(kept.back().get(), 0xFF, bytes);
  return bytes ? kept.back().get() : nullptr;
}
