// Logs: numbers have full precision; a resumed run cuts a log back to whole lines of the steps that count.
#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "kernels/device/error.h"
#include "train/io/logs.h"

namespace dae {

static const std::string kPath =
    (std::filesystem::temp_directory_path() / ("dae-logs-" + std::to_string(getpid()) + ".jsonl")).string();

static std::string contents() {
  std::ostringstream text;
  text << std::ifstream(kPath).rdbuf();
  return text.str();
}

TEST_CASE("numbers come back exactly") {
  std::filesystem::remove(kPath);
  const double value = 0.1 + 0.2, tiny = 1.0 / 3e300;
  JsonLines(kPath, 0).write(1, {{"loss_d", value}, {"loss_g", tiny}});
  const nlohmann::json line = nlohmann::json::parse(contents());
  CHECK(line["step"] == 1);
  CHECK(line["loss_d"].get<double>() == value);
  CHECK(line["loss_g"].get<double>() == tiny);
  std::filesystem::remove(kPath);
}

TEST_CASE("opening again cuts later steps, half lines and everything after them") {
  const std::string two = "{\"step\": 1, \"a\": 1}\n{\"step\": 2, \"a\": 1}\n";
  for (const char* tail :
       {"{\"step\": 3, \"a\": 1}\n", "{\"step\": 2, \"a\"", "nonsense\n{\"step\": 1}\n", ""}) {
    std::ofstream(kPath) << two << tail;
    JsonLines(kPath, 2).write(3, {{"a", 2}});
    CHECK(contents() == two + "{\"step\": 3, \"a\": 2}\n");
  }
  std::filesystem::remove(kPath);
}

TEST_CASE("a log that cannot be written is an error of data") {
  try {
    JsonLines("/proc/none/metrics.jsonl", 0);
    FAIL("it opened");
  } catch (const Error& e) { CHECK(e.fault == Fault::data); }
}

}  // namespace dae
