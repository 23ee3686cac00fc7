// A run that was killed and went on writes the same bytes as one that was not: checkpoints, metrics,
// pictures.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path kFolder = fs::temp_directory_path() / ("dae-resume-" + std::to_string(getpid()));

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// Everything that must not depend on how often the run was stopped.
std::map<std::string, std::string> contents(const fs::path& run) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const std::string name = fs::relative(entry.path(), run).string();
    if (name == "metrics.jsonl" || name == "recipe.toml" || name.rfind("checkpoints/", 0) == 0 ||
        name.rfind("samples/", 0) == 0)
      if (entry.is_regular_file()) out[name] = read(entry.path());
  }
  return out;
}

void check_same(const fs::path& a, const fs::path& b) {
  const auto x = contents(a), y = contents(b);
  CHECK(x.size() == y.size());
  for (const auto& [name, bytes] : x) {
    INFO(name);
    REQUIRE(y.count(name) == 1);
    CHECK(bytes == y.at(name));
  }
}

int64_t lines(const fs::path& path) {
  const std::string text = read(path);
  return std::count(text.begin(), text.end(), '\n');
}

// Trains into `name`; after `stop_after` logged steps sends `signal`. Returns the wait status.
int train(const std::vector<std::string>& recipe, const std::string& name, int threads, bool resume,
          int signal = 0, int64_t stop_after = 0) {
  std::vector<std::string> words = {DAE_PROGRAM, "train"};
  words.insert(words.end(), recipe.begin(), recipe.end());
  for (const std::string& word :
       {std::string("-q"), "--threads=" + std::to_string(threads), "--out=" + (kFolder / name).string()})
    words.push_back(word);
  if (resume) words.push_back("--resume");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  while (signal && lines(kFolder / name / "metrics.jsonl") < stop_after) {
    if (waitpid(child, &status, WNOHANG) == child) return status;  // it ended by itself
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  if (signal) kill(child, signal);
  waitpid(child, &status, 0);
  return status;
}

std::vector<std::string> small(const std::string& recipe) {
  std::vector<std::string> words = {recipe};
  const bool toy = recipe == "toy";
  for (const char* set : {"train.steps=24", "train.batch=8", "train.log_every=1", "train.checkpoint_every=5",
                          "train.sample_every=8", "data.count=50"})
    words.insert(words.end(), {"--set", set});
  if (!toy)
    for (const char* set : {"data.kind=procedural", "model.width=0.03125", "model.z_dim=8"})
      words.insert(words.end(), {"--set", set});
  return words;
}

}  // namespace

TEST_CASE("resume is bit-exact for every model, after SIGTERM, SIGINT and kill -9, for 1 and 2 threads") {
  for (const char* model : {"toy", "dcgan-cifar10", "vaegan-cifar10", "dae-vaegan-cifar10"}) {
    INFO(model);
    const std::vector<std::string> recipe = small(model);
    fs::remove_all(kFolder);
    fs::create_directories(kFolder);
    REQUIRE(train(recipe, "whole", 1, false) == 0);
    CHECK(lines(kFolder / "whole/metrics.jsonl") == 24);

    const int killed = train(recipe, "stopped", 2, false, SIGKILL, 7);
    CHECK(WIFSIGNALED(killed));
    const int stopped = train(recipe, "stopped", 1, true, SIGTERM, 11);
    CHECK(WIFEXITED(stopped));
    CHECK(WEXITSTATUS(stopped) == 143);
    const int interrupted = train(recipe, "stopped", 2, true, SIGINT, 17);
    CHECK(WIFEXITED(interrupted));
    CHECK(WEXITSTATUS(interrupted) == 130);
    REQUIRE(train(recipe, "stopped", 1, true) == 0);
    check_same(kFolder / "whole", kFolder / "stopped");
  }
  fs::remove_all(kFolder);
}

TEST_CASE("a finished run resumes to itself, and its logs are cut back to the checkpoint") {
  const std::vector<std::string> recipe = small("toy");
  fs::remove_all(kFolder);
  fs::create_directories(kFolder);
  REQUIRE(train(recipe, "whole", 1, false) == 0);
  fs::copy(kFolder / "whole", kFolder / "copy", fs::copy_options::recursive);
  fs::remove(kFolder / "copy/checkpoints/step-00000024.safetensors");
  std::ofstream(kFolder / "copy/metrics.jsonl", std::ios::app) << "{\"step\": 25, \"lo";  // cut by a kill
  REQUIRE(train(recipe, "copy", 2, true) == 0);
  CHECK(read(kFolder / "copy/metrics.jsonl") == read(kFolder / "whole/metrics.jsonl"));
  REQUIRE(train(recipe, "whole", 1, true) == 0);
  fs::remove_all(kFolder);
}
