// `dae reproduce cifar10` at a tiny size: four rows from one command, the JSON for scripts, rows that are
// kept.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/program.h"

namespace dae {

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::string kTiny =
    "-q reproduce cifar10 --images 100 --set model.width=0.03125 --set model.z_dim=8 --set train.steps=4 "
    "--set "
    "train.batch=4 --set train.log_every=2 --set-simclr train.steps=2 --set-simclr train.batch=4 "
    "--set-simclr "
    "model.width=0.0625 --set-simclr model.z_dim=8 --set-simclr probe.every=0 --out @/table";

}  // namespace

TEST_CASE("four rows, resumed row by row; without Inception's weights nothing is called FID") {
  const Folder folder;
  const json first = json::parse(output(folder, "--json " + kTiny));
  CHECK(first["table"] == "cifar10");
  REQUIRE(first["rows"].size() == 4);
  const char* names[] = {"DCGAN", "DCGAN-SimCLR", "VAEGAN", "DAE-VAEGAN"};
  for (size_t i = 0; i < 4; ++i) {
    const json& row = first["rows"][i];
    CHECK(row["name"] == names[i]);
    const json& run = row["runs"][0];
    CHECK(run["fid"].is_null());
    CHECK(run["error_held_out"].is_number() == (i > 0));  // DCGAN has no encoder
    CHECK(fs::exists(fs::path(run["run"].get<std::string>()) / "judged.json"));
  }
  REQUIRE(first["claims"].size() == 6);
  for (const json& claim : first["claims"]) CHECK(claim["verdict"] == "not measured");
  const std::string page = read(first["report"]);
  for (const char* part : {"DCGAN-SimCLR", "48.11", "data:image/png;base64,", "A short run"})
    CHECK(page.find(part) != std::string::npos);

  CHECK(output(folder, kTiny).find("--weights") != std::string::npos);

  // A lost row is made again with the same numbers; the other rows do not change.
  const std::string lost = first["rows"][2]["runs"][0]["run"], kept = first["rows"][3]["runs"][0]["run"];
  const auto written = fs::last_write_time(kept + "/metrics.jsonl");
  fs::remove_all(lost);
  CHECK(json::parse(output(folder, "--json " + kTiny)) == first);
  CHECK(fs::last_write_time(kept + "/metrics.jsonl") == written);

  // Figures that were measured with Inception's weights are shown and kept also without the weights.
  const std::string judged = lost + "/judged.json";
  json all = json::parse(read(judged));
  all.push_back({{"fid", 12.5},
                 {"inception_score", 3.25},
                 {"of",
                  {{"images", 100},
                   {"metric", "FID-768"},
                   {"protocol", "gan-metrics"},
                   {"weights_crc32", "0"},
                   {"reference_crc32", "0"}}}});
  write(judged, all.dump());
  const json with = json::parse(output(folder, "--json " + kTiny));
  CHECK(with["rows"][2]["runs"][0]["fid"] == 12.5);
  CHECK(with["rows"][3]["runs"][0]["fid"].is_null());
  CHECK(with["provenance"]["metric"] == "FID-768");
  CHECK(json::parse(read(judged)) == all);

  // Another encoder or another setting belongs to another table, so it is refused.
  check(folder, {kTiny + " --set optimizer.lr=1", 2, {"same settings", "--out"}});
  const std::string text = output(folder, kTiny + " --markdown");
  CHECK(text.find("| DAE-VAEGAN") != std::string::npos);
  CHECK(text.find("12.5000") != std::string::npos);
}

TEST_CASE("FID of real weights, named by its layer") {
  const fs::path weights =
      fs::path(DAE_SOURCE) / "../shared/data/inception/inception-2015-12-05-to-mixed7a.safetensors";
  const Folder folder;
  check(folder, {kTiny + " --weights @/nowhere", 3, {"nowhere"}});
  if (!fs::exists(weights)) {
    MESSAGE("skipped: no ", weights.string());
    return;
  }
  check(folder, {kTiny + " --weights " + weights.string(), 2, {"--images", "768", "100"}});
  CHECK(!fs::exists(folder.path / "table"));
}

}  // namespace dae
