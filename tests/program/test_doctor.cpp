// `dae doctor`: its output, and that it reports a failure.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/program.h"
#include "train/machine/doctor.h"

namespace dae {

TEST_CASE("the self-test passes here, and every feature that is missing says what that costs") {
  const Folder folder;
  const auto j = nlohmann::json::parse(output(folder, "doctor --json"));
  CHECK(j["passed"] == true);
  CHECK(j["checks"].size() >= 7);
  std::set<std::string> names;
  for (const auto& f : j["features"]) {
    names.insert(f["name"].get<std::string>());
    CAPTURE(f.dump());
    CHECK(!f["state"].get<std::string>().empty());
    CHECK(f["found"].get<bool>() != f.contains("costs"));
  }
  for (const char* name : {"program", "compiler", "CPU", "cores", "memory", "oneDNN", "LAPACK", "zlib",
                           "CUDA build", "NVIDIA driver", "GPUs"})
    CHECK(names.count(name) == 1);
  const std::string text = output(folder, "doctor");
  CHECK(text.find("self-test") != std::string::npos);
  CHECK(text.find("FAILED") == std::string::npos);
}

TEST_CASE("a check that fails is exit code 1") {
  const Folder folder;
  setenv("TMPDIR", (folder / "absent").c_str(), 1);
  CHECK_FALSE(check_files().passed);
  std::string error;
  CHECK(run(folder, "doctor", error) == 1);
  CHECK(run(folder, "doctor --json", error) == 1);
  unsetenv("TMPDIR");
  CHECK(check_files().passed);
}

}  // namespace dae
