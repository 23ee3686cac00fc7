#include "train/machine/environment.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>

#include <ctime>
#include <fstream>

#include "data/images/image.h"
#include "engine/tensor.h"
#include "kernels/cpu/parallel.h"

namespace dae {

namespace {

int64_t memory_line(const std::string& name) {
  std::ifstream in("/proc/meminfo");
  for (std::string word; in >> word;)
    if (int64_t kib = 0; word == name && in >> kib) return kib * 1024;
  return 0;
}

// The widest instruction set that the compiler was allowed to use and that matters to the kernels.
constexpr const char* kInstructions =
#if defined(__AVX512F__)
    "AVX-512";
#elif defined(__AVX2__)
    "AVX2";
#elif defined(__ARM_NEON)
    "NEON";
#else
    "baseline";
#endif

constexpr const char* kCompiler =
#if defined(__clang__)
    "Clang " __clang_version__;
#elif defined(__GNUC__)
    "GCC " __VERSION__;
#else
    "unknown";
#endif

}  // namespace

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0 || line.rfind("Model", 0) == 0) {
      const size_t colon = line.find(':');
      if (colon != std::string::npos && colon + 2 < line.size()) return line.substr(colon + 2);
    }
  return "unknown";
}

std::string version() {
  const std::string commit = DAE_COMMIT;
  return commit.empty() ? DAE_VERSION : fmt::format("{} ({})", DAE_VERSION, commit);
}

std::string utc_now() { return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr))); }

std::vector<std::pair<std::string, std::string>> environment(Device device) {
  std::string on = name(device);
  if constexpr (kHasCuda)
    if (device == Device::cuda) on = gpu_name();
  utsname system = {};
  uname(&system);
  const std::string onednn = DAE_ONEDNN_VERSION;
  return {{"program", "dae " + version()},
          {"compiler", fmt::format("{}, {}, {}", kCompiler, DAE_BUILD_TYPE, kInstructions)},
          {"device", on},
          {"CPU", cpu_name()},
          {"threads", std::to_string(thread_count())},
          {"oneDNN", onednn.empty() ? "not built in" : onednn},
          {"JPEG", jpeg_decoder()},
          {"system", fmt::format("{} {} {}", system.sysname, system.release, system.machine)}};
}

int64_t memory_available() { return memory_line("MemAvailable:"); }
int64_t memory_total() { return memory_line("MemTotal:"); }

}  // namespace dae
