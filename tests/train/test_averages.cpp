// optimizer.ema: samples, measures and pictures come from the averages; training goes on with the weights.
#include <map>
#include <nlohmann/json.hpp>

#include "data/files/safetensors.h"
#include "tests/support/program.h"
#include "train/feed/feed.h"
#include "train/io/pictures.h"
#include "train/io/weights.h"
#include "train/run/trained.h"

namespace dae {

namespace {

// Large steps and a slow average, so that weights and averages differ much.
const std::string kAverage =
    "-q --threads 1 --set optimizer.ema=0.9 --set train.batch=8 --set data.count=64 ";
const std::string kImages =
    "train vaegan-cifar10 " + kAverage +
    "--set data.kind=procedural --set model.width=0.03125 --set model.z_dim=8 --set optimizer.lr=0.01 ";
const std::string kPoints =
    "train toy " + kAverage +
    "--set model.encoder_hidden=6 --set model.decoder_hidden=5 --set optimizer.lr=0.02 ";

// Returns the run with its weights, except that names with one of `parts` have the averages of the
// checkpoint.
Trained by_hand(const Folder& folder, const std::vector<std::string>& parts) {
  Trained run = load_trained(folder / "run", Device::cpu, {}, true);
  const Safetensors file(find_checkpoint(folder / "run").string());
  int64_t replaced = 0;
  for (Param* p : run.learner->state())
    for (const TensorEntry& e : file.entries())
      for (const std::string& part : parts)
        if (e.name.starts_with("optimizer.") && e.name.ends_with(".ema." + p->name) &&
            p->name.starts_with(part))
          p->from_file(tensor_of(file.path(), e)), ++replaced;
  CHECK(replaced > 0);
  return run;
}

nlohmann::json json(const Folder& folder, const std::string& arguments) {
  return nlohmann::json::parse(output(folder, "-q --json --threads 1 " + arguments));
}

}  // namespace

TEST_CASE(
    "sample, reconstruct, eval and the pictures of a run come from the averages, with --raw the weights") {
  const Folder folder;
  std::string error;
  REQUIRE(run(folder, kImages + "--set train.steps=6 --out @/run", error) == 0);
  CHECK(json(folder, "sample @/run --count 5 --out @/average.npz")["averaged"] == true);
  CHECK(json(folder, "sample @/run --count 5 --out @/raw.npz --raw")["averaged"] == false);
  const auto drawn = [&](const Trained& run, const std::string& name) {
    const NoGrad off;
    save_arrays(folder / name, run.learner->generator()->generate(
                                   5, *drawn_noise(run.recipe.seed, kPictureStep, Device::cpu)));
    return read(folder / name);
  };
  CHECK(read(folder / "average.npz") == drawn(by_hand(folder, {"generator", "encoder"}), "expected.npz"));
  CHECK(read(folder / "raw.npz") ==
        drawn(load_trained(folder / "run", Device::cpu, {}, true), "expected.npz"));
  CHECK(read(folder / "raw.npz") != read(folder / "average.npz"));

  // The last picture of the training shows the averages.
  output(folder, "-q --threads 1 sample @/run --count 64 --out @/average.png");
  output(folder, "-q --threads 1 sample @/run --count 64 --out @/raw.png --raw");
  const std::string shown = read(folder / "run/samples/step-00000006-sample.png");
  CHECK(shown == read(folder / "average.png"));
  CHECK(shown != read(folder / "raw.png"));

  const auto average = json(folder, "reconstruct @/run --count 6 --out @/y.npz"),
             raw = json(folder, "reconstruct @/run --count 6 --out @/y-raw.npz --raw");
  CHECK(average["averaged"] == true);
  CHECK(raw["averaged"] == false);
  CHECK(average["mse"] == reconstruct_data(by_hand(folder, {"generator", "encoder"}), 6).value());
  CHECK(raw["mse"] != average["mse"]);

  const auto psnr = json(folder, "eval psnr @/run --reconstructions --count 6"),
             psnr_raw = json(folder, "eval psnr @/run --reconstructions --count 6 --raw"),
             of_file = json(folder, "eval psnr @/y.npz @/y-originals.npz");
  CHECK(psnr["provenance"]["samples"]["averaged"] == true);
  CHECK(psnr_raw["provenance"]["samples"]["averaged"] == false);
  CHECK_FALSE(psnr["provenance"]["reference"].contains("averaged"));
  CHECK(psnr["value"] == of_file["value"]);
  CHECK(psnr["value"] != psnr_raw["value"]);
  const std::string line = output(folder, "-q --threads 1 eval psnr @/run --reconstructions --count 6");
  CHECK(line.find("averaged weights") != std::string::npos);
}

TEST_CASE("inspect lipschitz and latent use the average, but the weights of a frozen encoder") {
  const Folder folder;
  std::string error;
  REQUIRE(run(folder,
              kPoints + "--set schedule.kind=dae --set train.steps=8 --set schedule.switch=0.5 --out @/run",
              error) == 0);
  const auto inspect = [&](const std::string& verb) { return json(folder, "inspect " + verb); };
  for (const auto& [of, frozen] : {std::pair("@/run@4", false), std::pair("@/run", true)}) {
    CAPTURE(of);
    const std::string stretch = "lipschitz " + std::string(of) + " --pairs 50",
                      latents = "latent " + std::string(of) + " --count 64";
    const auto l = inspect(stretch), l_raw = inspect(stretch + " --raw");
    CHECK(l["averaged"] == true);
    CHECK(l_raw["averaged"] == false);
    CHECK((l["metrics"][0]["encoder"] == l_raw["metrics"][0]["encoder"]) == frozen);
    CHECK(l["metrics"][0]["decoder"] != l_raw["metrics"][0]["decoder"]);
    const auto z = inspect(latents)["latents"][0], z_raw = inspect(latents + " --raw")["latents"][0];
    CHECK(z["averaged"] == true);
    CHECK(z_raw["averaged"] == false);
    CHECK((z["spectrum"] == z_raw["spectrum"]) == frozen);
  }
  // Latents of the encoder's weights go through the averages of the decoder, which learned with them.
  CHECK(reconstruct_data(load_trained(folder / "run", Device::cpu), 64).value() ==
        reconstruct_data(by_hand(folder, {"decoder"}), 64).value());
}

TEST_CASE("training knows nothing of the pictures: the same checkpoint with and without") {
  const Folder folder;
  std::string error;
  const std::string often = kImages + "--set train.sample_every=1 --set train.steps=",
                    seldom = kImages + "--set train.sample_every=1000 --set train.steps=";
  REQUIRE(run(folder, often + "4 --out @/often", error) == 0);
  REQUIRE(run(folder, seldom + "4 --out @/seldom", error) == 0);
  const auto tensors = [&](const std::string& name) {
    const Safetensors file(find_checkpoint(folder / name).string());
    std::map<std::string, std::string> out;
    for (const TensorEntry& e : file.entries())
      out[e.name] = std::string(static_cast<const char*>(e.bytes), e.size);
    return out;
  };
  CHECK(tensors("often") == tensors("seldom"));
  CHECK(read(folder / "often/metrics.jsonl") == read(folder / "seldom/metrics.jsonl"));
}

TEST_CASE("a run without averages says so, and --raw changes nothing") {
  const Folder folder;
  std::string error;
  REQUIRE(run(folder, kImages + "--set optimizer.ema=0 --set train.steps=2 --out @/run", error) == 0);
  CHECK(json(folder, "sample @/run --count 3 --out @/a.npz")["averaged"] == false);
  CHECK(json(folder, "sample @/run --count 3 --out @/b.npz --raw")["averaged"] == false);
  CHECK(read(folder / "a.npz") == read(folder / "b.npz"));
}

}  // namespace dae
