// `dae reproduce theory` prints the paper's statements, expected beside found.
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "kernels/device/error.h"
#include "train/paper/paper.h"
#include "train/paper/theory.h"

namespace dae {

int reproduce_theory(const Options& options) {
  const std::vector<Finding> findings = check_theory(options.seed.value_or(0));
  size_t held = 0;
  for (const Finding& f : findings) held += f.holds();

  if (options.json) {
    nlohmann::ordered_json json = {{"table", "theory"}, {"rows", nlohmann::ordered_json::array()}};
    for (const Finding& f : findings)
      json["rows"].push_back({{"statement", f.statement},
                              {"what", f.what},
                              {"expected", f.expected},
                              {"found", f.found},
                              {"tolerance", f.tolerance},
                              {"holds", f.holds()}});
    json["holds"] = held == findings.size();
    fmt::print("{}\n", json.dump());
  } else {
    const char* last = "";
    for (const Finding& f : findings) {
      if (f.statement != last) {
        fmt::print("{}{}\n  {:<70} {:>11} {:>11} {:>9}\n", *last ? "\n" : "", f.statement, "", "expected",
                   "found", "within");
        last = f.statement.c_str();
      }
      fmt::print("  {:<70} {:>11} {:>11.6g} {:>9.1g}  {}\n", f.what,
                 fmt::format("{}{:.6g}", f.at_least ? ">= " : "", f.expected), f.found, f.tolerance,
                 f.holds() ? "holds" : "FAILS");
    }
    fmt::print("\n{} of {} statements hold.\n", held, findings.size());
  }
  return held == findings.size() ? 0 : int(Fault::internal);
}

}  // namespace dae
