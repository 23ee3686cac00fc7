// What a user sees when something is wrong: the exit code and exactly one line that names the thing.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

struct Folder {
  fs::path path = fs::temp_directory_path() / ("dae-bad-input-" + std::to_string(getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
};

std::string read(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// Runs the program in `folder`; @ in the arguments stands for the folder.
int run(const fs::path& folder, std::string arguments, std::string& error) {
  for (size_t at; (at = arguments.find('@')) != std::string::npos;) arguments.replace(at, 1, folder.string());
  const std::string command =
      "'" DAE_PROGRAM "' " + arguments + " >/dev/null 2>'" + (folder / "stderr").string() + "'";
  const int status = std::system(command.c_str());
  error = read(folder / "stderr");
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct BadInput {
  std::string arguments;
  int code;
  std::vector<std::string> parts;  // what the line must contain
};

void check(const fs::path& folder, const BadInput& row) {
  std::string error;
  const int code = run(folder, row.arguments, error);
  INFO(row.arguments, " -> ", code, ": ", error);
  CHECK(code == row.code);
  CHECK(error.rfind("dae: ", 0) == 0);
  CHECK(error.find('\n') == error.size() - 1);
  for (const std::string& part : row.parts) CHECK(error.find(part) != std::string::npos);
}

// A small run on procedural images, a second or so.
const std::string kSmall =
    "train vaegan-cifar10 -q --threads 1 --set data.kind=procedural --set data.count=64 --set train.batch=8 "
    "--set model.width=0.03125 --set model.z_dim=8 --set train.steps=2 ";

// A safetensors file: length of the header, header, data.
void write_safetensors(const fs::path& path, uint64_t length, const std::string& header, size_t bytes) {
  std::ofstream out(path, std::ios::binary);
  for (int i = 0; i < 8; ++i) out.put(char(length >> (8 * i)));
  out << header << std::string(bytes, '\0');
}

}  // namespace

TEST_CASE("usage and recipes: exit code 2") {
  const Folder folder;
  std::ofstream(folder.path / "typo.toml") << "[model]\nkind = \"toy\"\n[train]\nstep = 3\n";
  std::ofstream(folder.path / "type.toml") << "[model]\nkind = \"toy\"\n[train]\nbatch = \"big\"\n";
  std::ofstream(folder.path / "broken.toml") << "[model\n";
  for (const BadInput& row : {
           BadInput{"", 2, {"subcommand"}},
           BadInput{"trian", 2, {}},
           BadInput{"train toy", 2, {"--out"}},
           BadInput{"train toy --out @/r --stage 3", 2, {"--stage"}},
           BadInput{"train toy --out @/r --stage 2", 2, {"--from"}},
           BadInput{"--device tpu train toy --out @/r", 2, {"--device"}},
           BadInput{"--device cuda train toy --out @/r", 2, {"--device", "cuda"}},
           BadInput{"--threads 0 train toy --out @/r", 2, {"--threads"}},
           BadInput{"train @/none.toml --out @/r", 2, {"none.toml", "no such file"}},
           BadInput{"train @ --out @/r", 2, {"folder"}},
           BadInput{"train @/typo.toml --out @/r", 2, {"typo.toml:4", "train.step", "train.steps"}},
           BadInput{"train @/type.toml --out @/r", 2, {"type.toml:4", "train.batch", "integer", "big"}},
           BadInput{"train @/broken.toml --out @/r", 2, {"broken.toml:1", "TOML"}},
           BadInput{"train toy --out @/r --set train.steps=-1", 2, {"train.steps", "-1"}},
           BadInput{"train toy --out @/r --set train.stepz=1", 2, {"train.stepz", "train.steps"}},
           BadInput{"train toy --out @/r --resume", 2, {"@/r", "--resume"}},
       }) {
    BadInput expanded = row;
    for (std::string& part : expanded.parts)
      if (part[0] == '@') part = folder.path.string() + part.substr(1);
    check(folder.path, expanded);
  }
  CHECK_FALSE(fs::exists(folder.path / "r"));
}

TEST_CASE("weights: exit code 3") {
  const Folder folder;
  write_safetensors(folder.path / "huge", uint64_t(1) << 62, "{}", 0);
  write_safetensors(folder.path / "cut", 1000, "{}", 0);
  const auto one = [&](const char* name, const std::string& header, size_t bytes) {
    write_safetensors(folder.path / name, header.size(), header, bytes);
  };
  one("json", "{\"a\": [}", 0);
  one("outside", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 8);
  one("shape", R"({"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}})", 16);
  one("overlap",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
      12);
  one("other", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 16);
  one("misshaped", R"({"generator.main.0.weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 16);
  for (const char* name :
       {"huge", "cut", "json", "outside", "shape", "overlap", "other", "misshaped", "absent"})
    check(folder.path, {kSmall + "--out @/run-" + name + " --init @/" + name, 3, {name}});
}

TEST_CASE("run folders: exit codes 2 and 3") {
  const Folder folder;
  std::ofstream(folder.path / "file") << "not a folder";
  check(folder.path, {kSmall + "--out @/file/run", 3, {"file/run", "folder"}});
  check(folder.path, {"sample @/none", 3, {"none", "checkpoint"}});
  check(folder.path,
        {kSmall + "--out @/nan --set optimizer.lr=1e30 --set train.steps=50", 3, {"step", "finite"}});
  std::string error;
  REQUIRE(run(folder.path, kSmall + "--out @/run", error) == 0);
  CHECK(error.empty());
  check(folder.path, {kSmall + "--out @/run", 2, {"--resume"}});
  check(folder.path, {kSmall + "--out @/run --resume --set loss.kl=1", 2, {"kl"}});
  check(folder.path, {"sample @/run@1234567", 2 + 1, {"1234567"}});
  check(folder.path, {"sample @/run --out @/picture.bmp", 2, {".png"}});
  const fs::path last = folder.path / "run/checkpoints/step-00000002.safetensors";
  fs::resize_file(last, fs::file_size(last) / 2);
  check(folder.path, {"sample @/run", 3, {"step-00000002"}});
}
