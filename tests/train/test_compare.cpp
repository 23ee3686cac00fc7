// `dae compare`: the statistics against published values and repeated draws, and the JSON of a tiny
// comparison.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/ops.h"
#include "tests/support/program.h"
#include "train/paper/confidence.h"

namespace dae {

TEST_CASE("Student's t, two-sided 95 and 99 %: the values of any printed table") {
  for (const auto& [probability, freedom, t] : {std::tuple{0.95, 1, 12.706},
                                                {0.95, 2, 4.303},
                                                {0.95, 9, 2.262},
                                                {0.95, 30, 2.042},
                                                {0.99, 4, 4.604},
                                                {0.99, 1, 63.657}})
    CHECK(student_t(probability, freedom) == doctest::Approx(t).epsilon(2e-4));
}

TEST_CASE("a worked pair, by hand") {
  const Paired p = paired({1, 2, 4}, {2, 2, 7});  // differences 1, 0, 3
  CHECK(p.difference == doctest::Approx(4. / 3));
  CHECK(p.std_a == doctest::Approx(std::sqrt(7. / 3)));
  CHECK(p.half_width == doctest::Approx(4.3027 * std::sqrt(7. / 3) / std::sqrt(3.)).epsilon(1e-4));
  CHECK(!p.decided());
  CHECK(paired({1, 2, 4}, {2.1, 3, 4.9}).decided());
  CHECK(!paired({1}, {100}).decided());  // one pair has no spread
}

TEST_CASE("an order of rows: found, not found, undecided, of one seed, not measured") {
  CHECK(std::string(lies_below(paired({1}, {2}))) == "one seed, which agrees");
  CHECK(std::string(lies_below(paired({2}, {1}))) == "one seed, which does not");
  CHECK(std::string(lies_below(paired({1, 2, 4}, {2.1, 3, 4.9}))) == "holds");
  CHECK(std::string(lies_below(paired({2.1, 3, 4.9}, {1, 2, 4}))) == "does not hold");
  CHECK(std::string(lies_below(paired({1, 2, 4}, {2, 2, 7}))) == "undecided");
  CHECK(std::string(lies_below(paired({1, NAN}, {2, 3}))) == "not measured");
}

TEST_CASE("the interval holds the truth in 95 of 100 learners") {
  constexpr int kTrials = 4000, kPairs = 4;
  int held = 0;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<double> a, b;
    const std::vector<double> z = normal({3 * kPairs}, {1, uint32_t(trial), 0}).values();
    for (size_t i = 0; i < z.size(); i += 3) {  // the large part that a pair has in common cancels
      a.push_back(10 * z[i] + z[i + 1]);
      b.push_back(10 * z[i] + z[i + 2] + 0.7);
    }
    const Paired p = paired(a, b);
    held += std::fabs(p.difference - 0.7) <= p.half_width;
  }
  // A fraction of 0.95 in 4,000 trials has a standard deviation of 0.0034. The limit is about four
  // deviations.
  CHECK(double(held) / kTrials == doctest::Approx(0.95).epsilon(0.0145));
}

namespace {
const std::string kToy = "--json -q compare toy toy --set train.steps=20 --set train.log_every=1 ";
}

TEST_CASE("a recipe beside itself differs by nothing; another setting is measured seed by seed") {
  const Folder folder;
  const auto same = nlohmann::json::parse(output(folder, kToy + "--seeds 2 --out @/same"));
  for (const auto& m : same["measures"]) {
    INFO(m.dump());
    if (m["name"] == "step time, ms") continue;
    CHECK(m["a"] == m["b"]);
    CHECK(m["a"][0] != m["a"][1]);
    CHECK(m["verdict"] == "undecided");
  }
  const std::string other = kToy + "--seeds 2 --set-b optimizer.lr=0.02 --out @/other";
  const auto first = nlohmann::json::parse(output(folder, other));
  CHECK(first["measures"][0]["a"] == same["measures"][0]["a"]);
  CHECK(first["measures"][0]["b"] != same["measures"][0]["b"]);
  CHECK(read(first["report"]).find("B, seed 1") != std::string::npos);
  const auto again = nlohmann::json::parse(output(folder, other));  // nothing is trained again
  CHECK(again == first);
}

TEST_CASE("autoencoders of images: held-out error first, and no metric that one side logs in stage 1 alone") {
  const Folder folder;
  const auto json = nlohmann::json::parse(
      output(folder,
             "--json -q compare vaegan-cifar10 dae-vaegan-cifar10 --set data.kind=procedural --set "
             "model.width=0.03125 --set model.z_dim=8 --set train.steps=4 --set train.batch=4 --set "
             "train.log_every=1 --images 100 --seeds 1 --out @/pair"));
  CHECK(json["measures"][0]["name"] == "reconstruction error, held out");
  CHECK(json["measures"].dump().find("loss_rec") != std::string::npos);
  CHECK(json["measures"].dump().find("loss_kl") == std::string::npos);
  for (const auto& m : json["measures"]) {
    const std::string name = m["name"];
    INFO(name);
    CHECK(m["verdict"] == "one seed");
    const bool lower =
        name == "reconstruction error, held out" || name == "step time, ms" || name.starts_with("loss_rec,");
    CHECK(m["better"] == (lower ? "lower" : ""));  // adversarial losses have no better direction
  }
  const std::string text =
      output(folder,
             "-q compare vaegan-cifar10 dae-vaegan-cifar10 --set data.kind=procedural --set "
             "model.width=0.03125 --set model.z_dim=8 --set train.steps=4 --set train.batch=4 --set "
             "train.log_every=1 --images 100 --seeds 1 --out @/pair");
  CHECK(text.find("(-)") != std::string::npos);  // one run has no deviation
  CHECK(text.find("(0)") == std::string::npos);
  CHECK(read(json["report"]).find("Measures, lower is better") == std::string::npos);
}

TEST_CASE("unequal budgets, and a folder with runs of other settings, are refused") {
  const Folder folder;
  check(folder, {kToy + "--out @/x --set-b train.steps=5", 2, {"compare", "20 steps", "5 of"}});
  output(folder, kToy + "--seeds 1 --out @/y");
  check(folder, {kToy + "--seeds 1 --out @/y --set loss.kl=3", 2, {"a-seed-0", "same settings", "--out"}});
}

}  // namespace dae
