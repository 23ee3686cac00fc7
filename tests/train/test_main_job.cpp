// `dae reproduce main` at a small size: its JSON for scripts, its page, and an interruption.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

namespace dae {

namespace fs = std::filesystem;

namespace {

const fs::path kFolder = fs::temp_directory_path() / ("dae-main-" + std::to_string(getpid()));
struct Cleanup {
  Cleanup() { fs::create_directories(kFolder), unsetenv("DAE_DATA"); }
  ~Cleanup() { fs::remove_all(kFolder); }
} cleanup;

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}
bool is_line(char c) { return c == '\n'; }

struct Job {
  int status = 0;
  std::string out, error;
};

// Runs a tiny main job into kFolder / name. Sends SIGINT once the run `stop_in` has logged three steps.
Job run(const std::string& name, const fs::path& stop_in = {}, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {DAE_PROGRAM,
                                    "--json",
                                    "-q",
                                    "reproduce",
                                    "main",
                                    "--seeds",
                                    "1",
                                    "--images",
                                    "200",
                                    "--out",
                                    (kFolder / name).string()};
  for (const char* set : {"train.steps=8", "train.batch=4", "train.log_every=1", "train.checkpoint_every=2",
                          "train.sample_every=4", "model.width=0.03125", "model.z_dim=8"})
    words.insert(words.end(), {"--set", set});
  words.insert(words.end(), more.begin(), more.end());
  const fs::path out = kFolder / "stdout", error = kFolder / "stderr";
  const pid_t child = fork();
  if (child == 0) {
    dup2(open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    dup2(open(error.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(99);
  }
  Job job;
  bool stop = !stop_in.empty();
  while (waitpid(child, &job.status, stop ? WNOHANG : 0) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const std::string log = read(kFolder / name / stop_in / "metrics.jsonl");
    if (std::count_if(log.begin(), log.end(), is_line) < 3) continue;
    kill(child, SIGINT);
    stop = false;
  }
  job.out = read(out), job.error = read(error);
  return job;
}

}  // namespace

TEST_CASE("one JSON object, both runs and a page that needs nothing else") {
  const Job job = run("whole");
  INFO(job.error);
  REQUIRE(WIFEXITED(job.status));
  CHECK(WEXITSTATUS(job.status) == 0);
  CHECK(job.error.empty());
  const auto json = nlohmann::json::parse(job.out);
  CHECK(json["table"] == "main");
  CHECK(json["theory"]["hold"] == json["theory"]["of"]);
  CHECK(json["theory"]["of"] == 38);
  CHECK(json["toy"]["rows"].size() == 4);
  CHECK(json["toy"]["claims"].size() == 2);
  const auto& pixels = json["pixels"];
  REQUIRE(pixels["rows"].size() == 2);
  CHECK(pixels["rows"][0]["name"] == "VAE");
  CHECK(pixels["rows"][1]["name"] == "DAE");
  CHECK(pixels["rows"][1]["stages"].size() == 2);
  const auto& baselines = pixels["baselines"];
  CHECK(baselines["grey"].get<double>() > baselines["mean_colour"].get<double>());
  CHECK(baselines["mean_colour"].get<double>() > 0);
  CHECK(baselines["pca"].get<double>() > 0);
  CHECK(pixels["difference"].get<double>() ==
        doctest::Approx(pixels["rows"][1]["mse_held_out"].get<double>() -
                        pixels["rows"][0]["mse_held_out"].get<double>()));
  CHECK(pixels["verdicts"][2].get<std::string>().find("one seed") != std::string::npos);
  const auto& pair = json["pair"];
  CHECK(pair["label"].get<std::string>().find("short run") != std::string::npos);
  CHECK(pair["data"] == "procedural");
  CHECK(pair["steps"] == 8);
  REQUIRE(pair["rows"].size() == 2);
  CHECK(pair["rows"][0]["name"] == "VAEGAN");
  CHECK(pair["rows"][1]["name"] == "DAE-VAEGAN");
  for (const auto& row : pair["rows"]) {
    for (const char* key : {"mse_held_out", "mse_training"}) {
      CHECK(row[key].get<double>() > 0);  // values lie in [-1, 1]
      CHECK(row[key].get<double>() < 4);
    }
    CHECK(row["mse_held_out"] != row["mse_training"]);
    int64_t steps = 0;
    for (const auto& stage : row["stages"]) {
      steps += stage["steps"].get<int64_t>();
      CHECK(stage["step_seconds"].get<double>() > 0);
      CHECK(stage["peak_bytes"].get<int64_t>() > 0);
    }
    CHECK(steps == 8);
  }
  CHECK(pair["rows"][0]["stages"].size() == 1);
  CHECK(pair["rows"][1]["stages"].size() == 2);

  const std::string page = read(json["report"].get<std::string>());
  for (const char* part :
       {"DAE-VAEGAN", "VAE (64,128)", "loss_rec", "data:image/png;base64,", "short run",
        "38 of 38 statements", "mean colour", "class=\"dots c7\"", "freezes the encoder", "nats an image"})
    CHECK(page.find(part) != std::string::npos);
  CHECK(page.find("src=\"http") == std::string::npos);
}

TEST_CASE("an interrupted job ends with 130, and the same command goes on to the same bytes") {
  const Job stopped = run("stopped", "dae-vaegan-cifar10");
  REQUIRE(WIFEXITED(stopped.status));
  CHECK(WEXITSTATUS(stopped.status) == 130);
  CHECK(stopped.out.empty());
  const Job again = run("stopped");
  INFO(again.error);
  REQUIRE(WIFEXITED(again.status));
  CHECK(WEXITSTATUS(again.status) == 0);
  for (const char* run : {"vae-seed-0", "dae-seed-0", "vaegan-cifar10", "dae-vaegan-cifar10"})
    CHECK(read(kFolder / "stopped" / run / "metrics.jsonl") ==
          read(kFolder / "whole" / run / "metrics.jsonl"));
}

TEST_CASE("finished runs are shown again and left alone; --force puts them aside; nothing is deleted") {
  const fs::path run_folder = kFolder / "whole/vaegan-cifar10", notes = run_folder / "checkpoints/notes.txt";
  std::ofstream(notes) << "mine";
  const auto written = fs::last_write_time(run_folder / "metrics.jsonl");
  const Job again = run("whole");
  CHECK(WEXITSTATUS(again.status) == 0);
  CHECK(fs::last_write_time(run_folder / "metrics.jsonl") == written);
  CHECK(read(notes) == "mine");

  // The job does not replace runs of other settings.
  const std::vector<std::string> other = {"--set", "loss.kl=0.5"};
  const Job refused = run("whole", {}, other);
  CHECK(WEXITSTATUS(refused.status) == 2);
  for (const char* part : {"whole/vae-seed-0", "same settings", "--out", "--force"})
    CHECK(refused.error.find(part) != std::string::npos);
  CHECK(std::count_if(refused.error.begin(), refused.error.end(), is_line) == 1);
  CHECK(read(notes) == "mine");
  const Job forced = run("whole", {}, {"--set", "loss.kl=0.5", "--force"});
  CHECK(WEXITSTATUS(forced.status) == 0);
  CHECK(read(run_folder.string() + ".1/checkpoints/notes.txt") == "mine");
  CHECK_FALSE(fs::exists(notes));
  CHECK(read(run_folder / "recipe.toml").find("kl = 0.5") != std::string::npos);
}

TEST_CASE("data that is not there: one line, before anything is trained") {
  const Job job = run("nowhere", {}, {"data=/nowhere"});
  REQUIRE(WIFEXITED(job.status));
  CHECK(WEXITSTATUS(job.status) == 3);
  CHECK(job.error.find("data=/nowhere") != std::string::npos);
  CHECK(std::count_if(job.error.begin(), job.error.end(), is_line) == 1);
  CHECK(WEXITSTATUS(run("nowhere", {}, {"path=/nowhere"}).status) == 2);
  CHECK(!fs::exists(kFolder / "nowhere"));
}

}  // namespace dae
