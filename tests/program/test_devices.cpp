// Runs of the program that move between devices: started on (emulated) CUDA and resumed on the CPU, and the
// opposite.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/program.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

const char* const kCpu = DAE_PROGRAM;
const char* const kCuda = DAE_EMULATED;

std::string on(const char* program, const std::string& arguments) {
  return std::string("--device ") + (program == kCuda ? "cuda " : "cpu ") + arguments;
}

std::vector<nlohmann::json> metrics(const std::string& path) {
  std::istringstream in(read(path));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

// Checks that both runs logged every step and that their losses agree to `limit`.
void check_near(const std::string& a, const std::string& b, size_t steps, double limit) {
  const auto x = metrics(a + "/metrics.jsonl"), y = metrics(b + "/metrics.jsonl");
  REQUIRE(x.size() == steps);
  REQUIRE(y.size() == steps);
  for (size_t i = 0; i < steps; ++i)
    for (const auto& [name, value] : y[i].items()) {
      INFO(a, ", step ", i + 1, ": ", name, ": expected ", value.dump(), ", found ", x[i][name].dump());
      CHECK(std::abs(x[i][name].get<double>() - value.get<double>()) <=
            limit * std::abs(value.get<double>()));
    }
}

void train(const Folder& folder, const char* program, const std::string& arguments) {
  std::string error;
  const int code = run(folder, on(program, "train -q --threads 1 " + arguments), error, 0, program);
  INFO(arguments, ": ", error);
  REQUIRE(code == 0);
}

}  // namespace

// f32 sums in another order differ by 1e-6 a step. The limit leaves three digits for 16 steps of a network
// without norms.
TEST_CASE("the toy VAE with averages: started on one device, resumed on the other") {
  const Folder folder;
  const std::string toy =
      "toy --set model.encoder_hidden=13 --set model.decoder_hidden=11 --set train.batch=9 --set "
      "train.log_every=1 --set optimizer.ema=0.9 --set data.count=64 ";
  train(folder, kCpu, toy + "--out @/whole --set train.steps=16");
  for (const bool cuda_first : {true, false}) {
    const char *first = cuda_first ? kCuda : kCpu, *second = cuda_first ? kCpu : kCuda;
    const std::string run = cuda_first ? "moved" : "back";
    // Resumed with the recipe that the first device wrote.
    const std::string graph = " --set train.graph=true";  // has no effect on the CPU, which refuses it
    train(folder, first, toy + "--out @/" + run + " --set train.steps=8" + (cuda_first ? graph : ""));
    train(folder, second,
          "@/" + run + "/recipe.toml --resume --out @/" + run + " --set train.steps=16" +
              (cuda_first ? "" : graph));
    check_near(folder / run, folder / "whole", 16, 1e-3);
  }
  // The run begins in f16 with a loss scale, goes on in f32 on the CPU, which has none, and back. A loss in
  // f16 differs by half a percent.
  train(folder, kCuda, toy + "--set dtype=f16 --out @/half --set train.steps=4");
  train(folder, kCpu, toy + "--set dtype=f32 --resume --out @/half --set train.steps=12");
  train(folder, kCuda, toy + "--set dtype=f16 --resume --out @/half --set train.steps=16");
  const auto x = metrics(folder / "half/metrics.jsonl");
  REQUIRE(x.size() == 16);
  for (const auto& line : x) CHECK(std::isfinite(line["loss"].get<double>()));
}

// The second step starts from the other device's weights, statistics and moments. Adam's first step makes
// weights differ by 1e-5 (see test_twin_models.cpp), losses by less than 1e-3.
TEST_CASE("VAEGAN: started on one device, resumed on the other") {
  const Folder folder;
  const std::string vaegan =
      "vaegan-cifar10 --set data.kind=procedural --set data.count=8 --set train.batch=2 --set "
      "model.width=0.01 --set model.z_dim=3 --set train.log_every=1 --set train.sample_every=100 --set "
      "optimizer.decay=constant --set optimizer.lr=1e-5 ";
  train(folder, kCpu, vaegan + "--out @/whole --set train.steps=2");
  train(folder, kCuda, vaegan + "--out @/moved --set train.steps=1");
  train(folder, kCpu, vaegan + "--resume --out @/moved --set train.steps=2");
  check_near(folder / "moved", folder / "whole", 2, 1e-3);
  train(folder, kCpu, vaegan + "--out @/back --set train.steps=1");
  train(folder, kCuda, vaegan + "--resume --out @/back --set train.steps=2");
  check_near(folder / "back", folder / "whole", 2, 1e-3);
}

TEST_CASE("resume on CUDA is bit-exact, captured or not") {
  const Folder folder;
  const std::string toy =
      "toy --set model.encoder_hidden=13 --set model.decoder_hidden=11 --set train.batch=9 --set dtype=f16 "
      "--set train.log_every=1 --set optimizer.ema=0.9 --set data.count=64 --set train.checkpoint_every=5 "
      "--set schedule.kind=dae --set train.keep=0 --set train.steps=16 ";
  const std::string last = "checkpoints/step-00000016.safetensors";
  train(folder, kCuda, toy + "--out @/whole");
  for (const char* graph : {"true", "false"}) {
    CAPTURE(graph);
    const std::string run = std::string("run-") + graph;
    fs::copy(folder / "whole", folder / run, fs::copy_options::recursive);
    for (const char* later : {"10", "15", "16"})
      fs::remove(folder / run + "/checkpoints/step-000000" + later + ".safetensors");
    fs::remove(folder / run + "/checkpoints/step-00000008.safetensors");
    train(folder, kCuda, toy + "--resume --out @/" + run + " --set train.graph=" + graph);
    CHECK(read(folder / run + "/metrics.jsonl") == read(folder / "whole/metrics.jsonl"));
    // Compares all but the recipe in the metadata, which names the switch.
    const std::string a = read(folder / run + "/" + last), b = read(folder / "whole/" + last);
    const size_t tail = std::min(a.size(), b.size()) - 8192;
    CHECK(a.substr(a.size() - tail) == b.substr(b.size() - tail));
  }
}

TEST_CASE("a step with recorded noise cannot be captured: one line") {
  const Folder folder;
  std::string header = R"({"images":{"dtype":"F32","shape":[8,3,32,32],"data_offsets":[0,98304]},)"
                       R"("noise":{"dtype":"F32","shape":[64,4],"data_offsets":[98304,99328]}})";
  write_safetensors(folder / "data.safetensors", header, 99328);
  check(folder,
        {on(kCuda,
            "train dcgan-cifar10 -q --set data.kind=tensors --set data.path=@/data.safetensors --set "
            "model.z_dim=4 --set model.width=0.01 --set train.batch=2 --set data.flip=false --set "
            "data.shuffle=false --set train.graph=true --out @/run"),
         2,
         {"train.graph", "recorded", "train.graph=false"}},
        kCuda);
}

TEST_CASE("--device cuda:1 is the second of the emulated devices, and a third is refused in one line") {
  const Folder folder;
  for (const char* index : {"0", "1"}) {
    const std::string device = std::string("--device cuda:") + index;
    const std::string text = output(folder, device + " doctor", 0, kCuda);
    CAPTURE(text);
    CHECK(text.find(std::string("chosen is emulated device ") + index) != std::string::npos);
    std::string error;
    CHECK(run(folder,
              device +
                  " train toy -q --set train.batch=5 --set data.count=64 --set train.steps=2 --out @/run" +
                  index,
              error, 0, kCuda) == 0);
    CAPTURE(error);
  }
  CHECK(read(folder / "run0/metrics.jsonl") == read(folder / "run1/metrics.jsonl"));
  check(folder, {"--device cuda:2 doctor", 2, {"--device", "one of 2 CUDA devices", "found cuda:2"}}, kCuda);
}

}  // namespace dae
