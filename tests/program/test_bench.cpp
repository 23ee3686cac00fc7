// A training step in its steady state, and the verb `dae bench`.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "engine/memory.h"
#include "engine/ops.h"
#include "kernels/cpu/parallel.h"
#include "tests/support/program.h"
#include "train/feed/feed.h"
#include "train/learners/registry.h"

namespace dae {

TEST_CASE("after its second step a training run asks the system for no memory") {
  set_thread_count(1);
  for (const char* kind : {"toy", "dcgan", "vaegan"})
    for (int stage : {1, 2}) {
      if (stage == 2 && std::string(kind) == "dcgan") continue;
      CAPTURE(kind);
      CAPTURE(stage);
      const Recipe recipe = of_kind(
          kind, kind == std::string("toy") ? std::vector<std::string>{"model.z_dim=2"}
                                           : std::vector<std::string>{"model.z_dim=2", "model.width=0.05"});
      const auto learner = make_learner(recipe, stage);
      Shape shape{3};
      for (int64_t d : learner->example_shape()) shape.push_back(d);
      const Tensor x = normal(shape, Key{1, 0, 0});
      int64_t after_second = 0;
      for (uint32_t step = 0; step < 4; ++step) {
        learner->step({x, {}}, {*drawn_noise(0, step, Device::cpu), int64_t(step)});
        if (step == 1) after_second = memory_stats().system_allocations;
      }
      CHECK(memory_stats().system_allocations == after_second);
    }
}

TEST_CASE("dae bench: rows with a share of the roof, and a comparison of two results") {
  const Folder folder;
  const std::string text =
      output(folder, "bench --threads 1 --json -q --seconds 0.01 --filter 'toy|embedding fwd .*cpu'");
  const auto result = nlohmann::json::parse(text);
  CHECK(result["machine"]["flops_one"] > 1e8);
  CHECK(result["machine"]["bytes_all"] > 1e7);
  for (const char* key : {"program", "compiler", "device", "system"})
    CHECK(result["environment"][key].get<std::string>() != "");
  const std::string date = result["environment"]["date"];
  CHECK(date.size() == 20);
  CHECK(date.substr(0, 2) == "20");
  CHECK(date.back() == 'Z');
  REQUIRE(result["rows"].size() == 2);
  for (const auto& row : result["rows"]) {
    CHECK(row["seconds"] > 0);
    CHECK(row["low"] <= row["seconds"]);
    CHECK(row["seconds"] <= row["high"]);
    // None where other work on the machine made the ceilings too low to be true.
    CHECK((row["roof_percent"].is_null() || row["roof_percent"] > 0));
  }
  CHECK(result["rows"][0]["roof"] == "compute");
  CHECK(result["rows"][1]["roof"] == "memory");

  auto slower = result;
  for (auto& row : slower["rows"])
    for (const char* key : {"seconds", "low", "high"}) row[key] = row[key].get<double>() * 4;
  write(folder / "a.json", result.dump());
  write(folder / "b.json", slower.dump());
  const auto compared = nlohmann::json::parse(output(folder, "bench compare @/a.json @/b.json --json"));
  CHECK(compared["geometric_mean"] == doctest::Approx(0.25));
  CHECK(compared["rows"].size() == 2);

  const std::string markdown =
      output(folder, "bench --threads 1 --markdown --seconds 0.01 --filter 'embedding fwd .*cpu'");
  CHECK(markdown.find("| op | shape | variant | median |") != std::string::npos);

  write(folder / "c.json", "{}");
  for (const BadInput& row :
       {BadInput{"bench --filter '('", 2, {"--filter: expected a regular expression"}},
        BadInput{"bench --filter nothing-of-this-name", 2, {"which no row has"}},
        BadInput{
            "bench compare @/c.json @/b.json", 3, {"c.json: expected a file written by dae bench --json"}}})
    check(folder, row);
}

// Checks which variants a shape has, and that each is timed against the right roof. The code is that of a
// GPU, at sizes that the emulated device runs in a moment.
TEST_CASE("dae bench --device cuda: every variant of the heavy kernels beside the others") {
  const Folder folder;
  const auto bench = [&](const std::string& filter) {
    return nlohmann::json::parse(output(
        folder, "bench --device cuda --json -q --seconds 0.001 --filter '" + filter + "'", 0, DAE_EMULATED));
  };
  const auto result = bench(
      "DCGAN disc 1x8x8x3|matmul NT DiT-L/4 qkv|attention .*wide prior|nearest code VQGAN batch 8"
      "|layer_norm fwd .*bf16|step toy");
  CHECK(result["machine"]["gpu"] == "emulated device 0, sm_90");
  for (const char* roof : {"flops_f32", "flops_16", "bytes_all"}) CHECK(result["machine"][roof] > 1e5);
  std::set<std::string> found;
  for (const auto& row : result["rows"]) {
    CAPTURE(row.dump());
    found.insert(row["op"].get<std::string>() + ": " + row["variant"].get<std::string>());
    CHECK(row["device"] == "cuda");
    CHECK(row["low"] <= row["seconds"]);
    CHECK(row["seconds"] <= row["high"]);
    CHECK(row["seconds"] > 0);
    if (row["op"] == "step toy") continue;  // its work is not counted at the reduced size
    CHECK(row["roof_percent"] > 0);
    const double flops = row["flops"], bytes = row["bytes"];
    CHECK(row["intensity"] == doctest::Approx(flops / bytes));
    const double most = result["machine"][row["dtype"] == "f32" ? "flops_f32" : "flops_16"];
    const double least = std::max(flops / most, bytes / result["machine"]["bytes_all"].get<double>());
    CHECK(row["roof_percent"] == doctest::Approx(100 * least / row["seconds"].get<double>()));
  }
  for (const char* name :
       {"step toy: graph f32", "step toy: graph bf16", "layer_norm fwd: cuda bf16", "matmul NT: naive f32",
        "matmul NT: mma f32", "matmul NT: mma bf16", "matmul NT: wgmma bf16", "matmul NT: wgmma f16",
        "conv forward: naive f32", "conv forward: mma bf16", "conv forward: direct bf16",
        "conv backward input: direct f32", "conv backward weight: direct f16",
        "attention forward: blocks f32", "attention forward: tiled bf16", "attention backward: tiled bf16",
        "nearest code: naive bf16", "nearest code: tensor f32"}) {
    CAPTURE(name);
    CHECK(found.count(name) == 1);
  }
  write(folder / "gpu.json", result.dump());
  const auto compared = nlohmann::json::parse(output(folder, "bench compare @/gpu.json @/gpu.json --json"));
  CHECK(compared["rows"].size() == result["rows"].size());
  CHECK(compared["geometric_mean"] == doctest::Approx(1));
}

}  // namespace dae
