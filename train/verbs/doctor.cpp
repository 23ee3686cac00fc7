#include "train/machine/doctor.h"

#include <nlohmann/json.hpp>

#include "kernels/device/error.h"
#include "kernels/device/gpu.h"
#include "train/verbs/verbs.h"

namespace dae {

int doctor(const Options& options) {
  const std::vector<Feature> features = examine_machine();
  std::vector<Check> checks = check_arithmetic(Device::cpu);
  if constexpr (kHasCuda)
    if (gpu_count() > 0)
      for (const Check& c : check_arithmetic(Device::cuda)) checks.push_back(c);
  checks.push_back(check_files());
  bool passed = true;
  for (const Check& c : checks) passed = passed && c.passed;
  if (options.json) {
    nlohmann::ordered_json out;
    for (const Feature& f : features) {
      nlohmann::ordered_json j{{"name", f.name}, {"found", f.there}, {"state", f.state}};
      if (!f.costs.empty()) j["costs"] = f.costs;
      out["features"].push_back(j);
    }
    for (const Check& c : checks)
      out["checks"].push_back({{"name", c.name}, {"passed", c.passed}, {"found", c.found}});
    out["passed"] = passed;
    fmt::print("{}\n", out.dump(1));
    return passed ? 0 : int(Fault::internal);
  }
  for (const Feature& f : features) {
    fmt::print("{} {:<18} {}\n", f.there ? " " : "-", f.name, f.state);
    if (!f.costs.empty()) fmt::print("  {:<18} {}\n", "", f.costs);
  }
  fmt::print("\nself-test\n");
  for (const Check& c : checks)
    fmt::print("  {:<7} {:<60} {}\n", c.passed ? "ok" : "FAILED", c.name, c.found);
  return passed ? 0 : int(Fault::internal);
}

}  // namespace dae
