// A training step in its steady state, and the program's bench verb.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <omp.h>

#include <nlohmann/json.hpp>

#include "engine/memory.h"
#include "engine/ops.h"
#include "tests/program.h"
#include "train/experiment.h"
#include "train/feed.h"

TEST_CASE("after its second step a training run asks the system for no memory") {
  omp_set_num_threads(1);
  for (const char* kind : {"toy", "dcgan", "vaegan"})
    for (int stage : {1, 2}) {
      if (stage == 2 && std::string(kind) == "dcgan") continue;
      CAPTURE(kind);
      CAPTURE(stage);
      Recipe recipe;
      recipe.model.kind = kind;
      recipe.model.z_dim = 2;
      recipe.model.width = 0.05;
      const auto experiment = make_experiment(recipe, stage);
      Shape shape{3};
      for (int64_t d : experiment->example_shape()) shape.push_back(d);
      const Tensor x = normal(shape, Key{1, 0, 0});
      int64_t after_second = 0;
      for (uint32_t step = 0; step < 4; ++step) {
        experiment->step(x, *drawn_noise(0, step, Device::cpu));
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
  REQUIRE(result["rows"].size() == 2);
  for (const auto& row : result["rows"]) {
    CHECK(row["seconds"] > 0);
    CHECK(row["low"] <= row["seconds"]);
    CHECK(row["seconds"] <= row["high"]);
    CHECK(row["roof_percent"] > 0);
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

  write(folder / "c.json", "{}");
  for (const BadInput& row :
       {BadInput{"bench --filter '('", 2, {"--filter: expected a regular expression"}},
        BadInput{"bench --filter nothing-of-this-name", 2, {"which no row has"}},
        BadInput{
            "bench compare @/c.json @/b.json", 3, {"c.json: expected a file written by dae bench --json"}}})
    check(folder, row);
}
