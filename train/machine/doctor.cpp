#include "train/machine/doctor.h"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "data/files/file.h"
#include "data/files/safetensors.h"
#include "engine/ops.h"
#include "kernels/cpu/parallel.h"
#include "kernels/device/gpu.h"
#include "train/machine/environment.h"

namespace dae {

extern "C" void ilaver_(int* major, int* minor, int* patch);

namespace fs = std::filesystem;

namespace {

std::string first_line(const std::string& path, const std::string& begins = "") {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.rfind(begins, 0) == 0) return line;
  return "";
}
std::string after_colon(const std::string& line) {
  const size_t at = line.find(':');
  const size_t begin = at == std::string::npos ? at : line.find_first_not_of(" \t", at + 1);
  return begin == std::string::npos ? "" : line.substr(begin);
}

// Returns the instruction sets of this CPU that matter to the kernels.
std::vector<std::string> instruction_sets() {
  std::string line = first_line("/proc/cpuinfo", "flags");
  if (line.empty()) line = first_line("/proc/cpuinfo", "Features");  // on ARM
  std::istringstream words(after_colon(line));
  std::set<std::string> all;
  for (std::string word; words >> word;) all.insert(word);
  std::vector<std::string> out;
  for (const char* flag : {"sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16",
                           "amx_bf16", "asimd", "sve", "bf16"})
    if (all.count(flag)) out.push_back(flag);
  return out;
}

// Instruction sets that the kernels could use and the compiler was not allowed to use.
const std::vector<const char*> kNotCompiledFor = {
#if defined(__x86_64__) && !defined(__AVX2__)
    "avx2",
#endif
#if defined(__x86_64__) && !defined(__AVX512F__)
    "avx512f",
#endif
};

std::string gib(int64_t bytes) { return fmt::format("{:.1f} GiB", double(bytes) / (int64_t{1} << 30)); }

std::string nvcc_on_path() {
  std::istringstream path(std::string(std::getenv("PATH") ? std::getenv("PATH") : "") +
                          ":/usr/local/cuda/bin");
  for (std::string folder; std::getline(path, folder, ':');)
    if (std::error_code error; !folder.empty() && fs::exists(folder + "/nvcc", error))
      return folder + "/nvcc";
  return "";
}

// Asks the driver, so that GPUs are found in a build without CUDA too.
std::vector<std::string> gpu_models() {
  std::vector<std::string> out;
  std::error_code error;
  for (const auto& gpu : fs::directory_iterator("/proc/driver/nvidia/gpus", error))
    out.push_back(after_colon(first_line((gpu.path() / "information").string(), "Model")));
  return out;
}

Feature cuda_in_this_build() {
  if constexpr (kCuda == CudaBuild::real) return {"CUDA build", true, DAE_CUDA_VERSION, ""};
  if constexpr (kCuda == CudaBuild::emulated)
    return {"CUDA build", true, "emulated: kernels run on the processor, to be tested, not to be fast", ""};
  const std::string nvcc = nvcc_on_path();
  return {"CUDA build", false, nvcc.empty() ? "no, and nvcc is not found" : "no, though there is " + nvcc,
          nvcc.empty()
              ? "no --device cuda: install CUDA 12.0 or later and build again; dae-emulated runs the "
                "kernels slowly"
              : "no --device cuda: make CUDA=ON"};
}

Feature driver() {
  const std::string version = first_line("/proc/driver/nvidia/version");
  if (version.empty())
    return {"NVIDIA driver", false, "not found", "no GPU can be used: training runs on the processor"};
  return {"NVIDIA driver", true, after_colon(version), ""};
}

Feature devices() {
  const std::string found = fmt::format("{}", fmt::join(gpu_models(), ", "));
  if constexpr (kHasCuda)
    if (const int usable = gpu_count(); usable > 0)
      return {"GPUs", true,
              fmt::format("{}{}{} can be used by this build, chosen is {}", found, found.empty() ? "" : "; ",
                          usable, gpu_name()),
              ""};
  return {"GPUs", false, found.empty() ? "none" : found + "; none can be used by this build",
          "training runs on the processor"};
}

// ---- the self-test ----------------------------------------------------------------------------------

// Returns small integers. Their sums are exact in f32, so every order of additions gives the same result.
Tensor counted(const Shape& shape, Device device) {
  std::vector<double> v(size_t(shape.size()), 0.0);
  for (size_t i = 0; i < v.size(); ++i) v[i] = double(i * 7 % 11) - 5;
  return Tensor::of(shape, v).to(device);
}

double largest_difference(const std::vector<double>& a, const std::vector<double>& b) {
  double most = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    most = std::isfinite(a[i]) ? std::max(most, std::abs(a[i] - b[i])) : INFINITY;
  return most;
}

Check compare(const std::string& name, const std::vector<double>& found, const std::vector<double>& expected,
              double limit) {
  const double d = largest_difference(found, expected);
  return {name, d <= limit, fmt::format("largest difference {:.2g}, at most {:.2g} allowed", d, limit)};
}

Check check_matmul(Device device) {
  constexpr int64_t m = 33, k = 65, n = 17;
  const Tensor a = counted({m, k}, device), b = counted({k, n}, device);
  const std::vector<double> x = a.values(), y = b.values();
  std::vector<double> expected(m * n, 0.0);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t l = 0; l < k; ++l)
      for (int64_t j = 0; j < n; ++j) expected[i * n + j] += x[i * k + l] * y[l * n + j];
  return compare("matmul, integers", matmul(a, b).values(), expected, 0);
}

// The integers stay exact in Winograd's transforms too, which divide by 2 and 4.
Check check_conv(Device device) {
  constexpr int64_t side = 9, in = 5, out = 19;
  const Tensor x = counted({2, side, side, in}, device), w = counted({out, 3, 3, in}, device);
  const std::vector<double> a = x.values(), b = w.values();
  std::vector<double> expected;
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t i = 0; i < side; ++i)
      for (int64_t j = 0; j < side; ++j)
        for (int64_t o = 0; o < out; ++o) {
          double sum = 0;
          for (int64_t u = 0; u < 9; ++u) {
            const int64_t row = i + u / 3 - 1, column = j + u % 3 - 1;
            if (row < 0 || row >= side || column < 0 || column >= side) continue;
            for (int64_t c = 0; c < in; ++c)
              sum += a[size_t(((n * side + row) * side + column) * in + c)] * b[size_t((o * 9 + u) * in + c)];
          }
          expected.push_back(sum);
        }
  return compare("3x3 convolution, integers", conv2d(x, w, {}, 1, 1).values(), expected, 1e-3);
}

Check check_softmax(Device device) {
  // softmax of (0, log 2, log 3, log 4) is (1, 2, 3, 4) / 10.
  const Tensor x = Tensor::of({1, 4}, {0, std::log(2.0), std::log(3.0), std::log(4.0)}).to(device);
  return compare("softmax", softmax(x).values(), {0.1, 0.2, 0.3, 0.4}, 1e-6);
}

Check check_gradient(Device device) {
  Tensor x = Tensor::of({3}, {0.5, -1, 2}).to(device);
  track(x);
  const Tensor wrt[] = {x};
  return compare("gradient of mean x^3", grad(mean(mul(square(x), x)), wrt)[0].values(), {0.25, 1, 4}, 1e-6);
}

// Compares Philox4x32-10 of key 0 and counter 0 with the values that its authors publish (Salmon et al.
// 2011).
Check check_philox() {
  const Bits4 bits = philox4x32_10({}, 0, 0);
  const uint32_t expected[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
  const bool same = std::equal(expected, expected + 4, bits.v);
  return {"random bits, Philox4x32-10", same, same ? "the published ones" : "other than the published ones"};
}

Check check_threads(Device device) {
  const int threads = thread_count();
  const auto values = [&](int count) {
    set_thread_count(count);
    const Tensor x = normal({3, 17, 17, 24}, Key{5, 0, 0}).to(device);
    Tensor w = normal({31, 3, 3, 24}, Key{5, 0, 1}).to(device);
    track(w);
    const Tensor wrt[] = {w};
    return grad(l2_norm(conv2d(x, w, {}, 1, 1)), wrt)[0].values();
  };
  const std::vector<double> one = values(1);
  bool same = true;
  for (const int count : {2, 3, threads}) same = same && values(count) == one;
  set_thread_count(threads);
  return {"bits of a gradient on 1, 2, 3 and all threads", same, same ? "equal" : "they differ"};
}

}  // namespace

std::vector<Feature> examine_machine() {
  std::vector<Feature> out;
  std::string threads, onednn;
  for (const auto& [name, value] : environment(Device::cpu)) {
    if (name == "threads") threads = value;
    else if (name == "oneDNN") onednn = value;
    else if (name == "device") continue;  // these have their own lines below
    else out.push_back({name, true, value, ""});
  }
  out.push_back({"cores", true,
                 fmt::format("{}, {} threads are used", std::thread::hardware_concurrency(), threads), ""});
  const std::vector<std::string> sets = instruction_sets();
  Feature instructions{"instruction sets", true, fmt::format("{}", fmt::join(sets, " ")), ""};
  for (const char* set : kNotCompiledFor)
    if (std::find(sets.begin(), sets.end(), set) != sets.end()) {
      instructions.there = false;
      instructions.costs = fmt::format(
          "this program was compiled without {}, so it is slower than it could be: build it here", set);
    }
  out.push_back(instructions);
  out.push_back(
      {"memory", true, fmt::format("{}, {} to be had", gib(memory_total()), gib(memory_available())), ""});
  int major = 0, minor = 0, patch = 0;
  ilaver_(&major, &minor, &patch);
  out.push_back({"LAPACK", true, fmt::format("{}.{}.{}", major, minor, patch), ""});
  out.push_back({"zlib", true, zlibVersion(), ""});
  const bool with_onednn = onednn != "not built in";
  out.push_back({"oneDNN", with_onednn, onednn,
                 with_onednn ? ""
                             : "large matrix products on the processor run on the plain loops, several times "
                               "slower: install libdnnl-dev and build again"});
  out.push_back(cuda_in_this_build());
  out.push_back(driver());
  out.push_back(devices());
  return out;
}

std::vector<Check> check_arithmetic(Device device) {
  std::vector<Check> out;
  for (const auto& f : {check_matmul, check_conv, check_softmax, check_gradient, check_threads}) try {
      out.push_back(f(device));
    } catch (const std::exception& e) { out.push_back({"an op", false, e.what()}); }
  if (device == Device::cpu) out.push_back(check_philox());
  for (Check& c : out) c.name = fmt::format("{}: {}", name(device), c.name);
  return out;
}

Check check_files() {
  const char* variable = std::getenv("TMPDIR");
  const std::string path =
      fmt::format("{}/dae-doctor-{}.safetensors", variable ? variable : "/tmp", getpid());
  Check check{"a file in the temporary folder", false, ""};
  try {
    const std::vector<float> values = {1, -2, 0.5};
    save_safetensors(path, {{"values", "F32", {3}, values.data(), 3 * sizeof(float)}}, {{"by", "doctor"}});
    const Safetensors back(path);
    const TensorEntry* entry = back.find("values");
    check.passed = entry && entry->size == 3 * sizeof(float) &&
                   std::memcmp(entry->bytes, values.data(), entry->size) == 0;
    check.found = check.passed ? "written, synced, read back: " + path : path + ": other bytes came back";
  } catch (const std::exception& e) { check.found = e.what(); }
  std::error_code error;
  fs::remove(path, error);
  return check;
}

}  // namespace dae
