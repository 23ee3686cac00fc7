// Bad usage, recipes, weights, run folders and full disks: what the user sees, and which files are left.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "kernels/device/gpu.h"
#include "tests/support/program.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

// A small run on procedural images, of about a second.
const std::string kSmall =
    "train vaegan-cifar10 -q --threads 1 --set data.kind=procedural --set data.count=64 --set train.batch=8 "
    "--set model.width=0.03125 --set model.z_dim=8 --set train.steps=2 ";
// A smaller run, on points.
const std::string kToy =
    "train toy -q --threads 1 --set model.encoder_hidden=3 --set model.decoder_hidden=2 --set train.batch=8 "
    "--set data.count=64 --set train.log_every=1 --set train.checkpoint_every=10000 ";

// Returns the name of a device that this machine or this build does not have.
std::string absent_device() {
  if constexpr (kHasCuda)
    if (gpu_count() > 0) return "cuda:99";
  return "cuda";
}

}  // namespace

TEST_CASE("usage and recipes: exit code 2") {
  const Folder folder;
  write(folder / "typo.toml", "[model]\nkind = \"toy\"\n[train]\nstep = 3\n");
  write(folder / "type.toml", "[model]\nkind = \"toy\"\n[train]\nbatch = \"big\"\n");
  write(folder / "broken.toml", "[model\n");
  for (const BadInput& row : {
           BadInput{"", 2, {"subcommand"}},
           BadInput{"trian", 2, {}},
           BadInput{"train toy", 2, {"--out"}},
           BadInput{"train toy --out @/r --stage 3", 2, {"--stage"}},
           BadInput{"train toy --out @/r --stage 2", 2, {"--from"}},
           BadInput{"--device tpu train toy --out @/r", 2, {"--device"}},
           BadInput{"--device " + absent_device() + " train toy --out @/r", 2, {"--device", "cuda"}},
           BadInput{"--threads 0 train toy --out @/r", 2, {"--threads"}},
           BadInput{"train @/none.toml --out @/r", 2, {"none.toml", "no such file"}},
           BadInput{"train @ --out @/r", 2, {"folder"}},
           BadInput{"train @/typo.toml --out @/r", 2, {"typo.toml:4", "train.step", "train.steps"}},
           BadInput{"train @/type.toml --out @/r", 2, {"type.toml:4", "train.batch", "integer", "big"}},
           BadInput{"train @/broken.toml --out @/r", 2, {"broken.toml:1", "TOML"}},
           BadInput{"train toy --out @/r --set train.steps=-1", 2, {"train.steps", "-1"}},
           BadInput{"train toy --out @/r --set train.stepz=1", 2, {"train.stepz", "train.steps"}},
           BadInput{"train toy --out @/r --resume", 2, {"/r:", "--resume"}},
       })
    check(folder, row);
  CHECK_FALSE(fs::exists(folder / "r"));
}

TEST_CASE("weights: exit code 3") {
  const Folder folder;
  const auto one = [&](const char* name, const std::string& header, size_t bytes) {
    write_safetensors(folder / name, header, bytes);
  };
  write(folder / "empty", "");
  write_safetensors(folder / "huge", uint64_t(1) << 62, "{}", 0);
  write_safetensors(folder / "cut", 1000, "{}", 0);
  one("json", "{\"a\": [}", 0);
  one("list", "[1, 2]", 0);
  one("utf8", "{\"\xff\": {}}", 0);
  one("outside", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 8);
  one("reversed", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8);
  one("shape", R"({"a":{"dtype":"F32","shape":[5],"data_offsets":[0,16]}})", 16);
  one("dtype", R"({"a":{"dtype":"F31","shape":[4],"data_offsets":[0,16]}})", 16);
  one("overlap",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
      12);
  one("gap", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12);
  one("trailing", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 12);
  one("duplicate",
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
      8);
  one("metadata", R"({"__metadata__":{"step":7}})", 0);
  one("negative", R"({"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}})", 16);
  one("fraction", R"({"a":{"dtype":"F32","shape":[4.0],"data_offsets":[0,16]}})", 16);
  one("overflow",  // 2^63 x 2^63 x 4 is 0 modulo 2^64
      R"({"a":{"dtype":"F32","shape":[9223372036854775808,9223372036854775808],"data_offsets":[0,0]}})", 0);
  one("product", R"({"a":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,0]}})", 0);
  const std::string brackets(1 << 20, '['), objects = [] {
    std::string text;
    for (int i = 0; i < 1 << 18; ++i) text += "{\"a\":";
    return text;
  }();
  one("deep", "{\"a\":" + brackets, 0);
  one("deeper", objects, 0);
  one("other", R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 16);
  one("misshaped", R"({"generator.main.0.weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})", 16);
  fs::create_directory(folder / "directory");
  for (const BadInput& row : {
           BadInput{"empty", 3, {"0 bytes"}},
           BadInput{"huge", 3, {"4611686018427387904"}},
           BadInput{"cut", 3, {"1000", "truncated"}},
           BadInput{"json", 3, {"JSON"}},
           BadInput{"list", 3, {"JSON"}},
           BadInput{"utf8", 3, {"JSON"}},
           BadInput{"outside", 3, {"outside"}},
           BadInput{"reversed", 3, {"[8, 0)"}},
           BadInput{"shape", 3, {"20 bytes", "16"}},
           BadInput{"dtype", 3, {"F31"}},
           BadInput{"overlap", 3, {"b:", "overlap"}},
           BadInput{"gap", 3, {"a:", "gap"}},
           BadInput{"trailing", 3, {"after the last"}},
           BadInput{"duplicate", 3, {"twice"}},
           BadInput{"metadata", 3, {"__metadata__", "string"}},
           BadInput{"negative", 3, {"a:", "shape"}},
           BadInput{"fraction", 3, {"a:", "shape"}},
           BadInput{"overflow", 3, {"a:", "too large"}},
           BadInput{"product", 3, {"a:", "too large"}},
           BadInput{"deep", 3, {"deep"}},
           BadInput{"deeper", 3, {"deep"}},
           BadInput{"other", 3, {"1 unexpected: a (4)", "another model"}},
           BadInput{"misshaped", 3, {"generator.main.0.weight", "shape", "(4)"}},
           BadInput{"directory", 3, {"run folder"}},
           BadInput{"absent", 3, {"No such file"}},
       }) {
    BadInput full = row;
    full.arguments = kSmall + "--out @/run --init @/" + row.arguments;
    full.parts.push_back("/" + row.arguments + ":");
    check(folder, full);
  }
  CHECK_FALSE(fs::exists(folder / "run"));
}

TEST_CASE("run folders: exit codes 2 and 3") {
  const Folder folder;
  write(folder / "file", "not a folder");
  check(folder, {kSmall + "--out @/file/run", 3, {"file/run", "folder"}});
  check(folder, {kSmall + "--out /proc/none/run", 3, {"/proc/none/run", "folder"}});
  check(folder, {"sample @/none", 3, {"none", "checkpoint"}});
  std::string error;
  REQUIRE(run(folder, kSmall + "--out @/run", error) == 0);
  CHECK(error.empty());
  check(folder, {kSmall + "--out @/run", 2, {"--resume"}});
  check(folder, {kSmall + "--out @/run --resume --set loss.kl=1", 2, {"kl"}});
  check(folder, {"sample @/run@1234567", 3, {"1234567"}});
  check(folder, {"sample @/run --out @/picture.bmp", 2, {".png"}});
  check(folder, {"sample @/run --out @/file/picture.png", 3, {"file"}});
  const std::string last = folder / "run/checkpoints/step-00000002.safetensors";
  fs::resize_file(last, fs::file_size(last) / 2);
  check(folder, {"sample @/run", 3, {"step-00000002"}});
  write_safetensors(folder / "run/checkpoints/step-00000003.safetensors", "{}", 0);
  check(folder, {"sample @/run", 3, {"step-00000003", "metadata"}});
}

TEST_CASE("a loss that is not finite stops the run and keeps the last good checkpoint") {
  const Folder folder;
  check(folder, {kSmall + "--out @/run --set optimizer.lr=1e30 --set train.steps=50",
                 3,
                 {"step", "finite", "step-00000000", "optimizer.lr"}});
  std::string error;
  CHECK(run(folder, "sample @/run", error) == 0);
  std::istringstream log(read(folder / "run/metrics.jsonl"));
  for (std::string line; std::getline(log, line);) CHECK(nlohmann::json::accept(line));
}

TEST_CASE("a full disk: the last checkpoint and whole lines stay, and the run goes on once there is room") {
  const Folder folder;
  check(folder, {kToy + "--out @/first --set train.steps=4", 3, {"manifest.json", "too large"}, 16});
  CHECK_FALSE(fs::exists(folder / "first/manifest.json"));
  CHECK_FALSE(fs::exists(folder / "first/recipe.toml"));

  std::string error;
  REQUIRE(run(folder, kToy + "--out @/run --set train.steps=2", error) == 0);
  const int64_t checkpoint = int64_t(fs::file_size(folder / "run/checkpoints/step-00000002.safetensors"));
  const std::string more = kToy + "--out @/run --resume --set train.steps=";
  check(folder, {more + "4", 3, {"step-00000004", "too large"}, checkpoint - 1});
  CHECK_FALSE(fs::exists(folder / "run/checkpoints/step-00000004.safetensors"));
  REQUIRE(run(folder, more + "4", error) == 0);

  // The logs reach this limit long before the last step.
  check(folder, {more + "2000", 3, {".jsonl", "too large"}, checkpoint + 4096});
  for (const char* name : {"run/metrics.jsonl", "run/timing.jsonl"}) {
    const std::string log = read(folder / name);
    CHECK(log.size() > 1000);
    CHECK(log.back() == '\n');
    std::istringstream lines(log);
    for (std::string line; std::getline(lines, line);) CHECK(nlohmann::json::accept(line));
  }
  REQUIRE(run(folder, more + "6", error) == 0);

  // Six steps with two interruptions log the same as six steps in one run.
  REQUIRE(run(folder, kToy + "--out @/straight --set train.steps=6", error) == 0);
  CHECK(read(folder / "run/metrics.jsonl") == read(folder / "straight/metrics.jsonl"));
}

}  // namespace dae
