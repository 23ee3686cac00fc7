// The command line: unknown words, help, verbs that need no run, and pictures in every form.
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "data/files/npz.h"
#include "data/sets/image_set.h"
#include "tests/support/program.h"
#include "train/recipe/words.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

const std::string kSmall =
    "train vaegan-cifar10 -q --threads 1 --set data.kind=procedural --set data.count=64 --set train.batch=8 "
    "--set model.width=0.03125 --set model.z_dim=8 --set train.steps=1 --out @/run";

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("an unknown word is named beside its nearest neighbour, at every level: one line, exit code 2") {
  const Folder folder;
  for (const BadInput& row : {
           BadInput{"", 2, {"dae: expected a subcommand: train, sample", "see dae --help"}},
           BadInput{"trian", 2, {"found trian;", "the nearest is train;", "see dae --help"}},
           BadInput{"trian toy --out @/r", 2, {"found trian;", "the nearest is train;"}},
           BadInput{"--json trian toy --out @/r", 2, {"found trian;", "the nearest is train;"}},
           BadInput{"eval", 2, {"dae eval: expected a subcommand: fid, sfid", "see dae eval --help"}},
           BadInput{"eval fdi A B", 2, {"found fdi;", "the nearest is fid;", "see dae eval --help"}},
           BadInput{"eval precision_recal A B", 2, {"the nearest is precision-recall;"}},
           BadInput{"reproduce toi", 2, {"found toi;", "the nearest is toy;", "see dae reproduce --help"}},
           BadInput{
               "inspect lipshitz", 2, {"found lipshitz;", "the nearest is lipschitz;", "dae inspect --help"}},
           BadInput{"inspect lipshitz @/r --pairs 3", 2, {"found lipshitz;", "the nearest is lipschitz;"}},
           BadInput{"inspect latnet @/a @/b", 2, {"found latnet;", "the nearest is latent;"}},
           BadInput{"bench compar a b", 2, {"found compar;", "the nearest is compare;", "dae bench --help"}},
           BadInput{
               "train toy --ot @/r", 2, {"found --ot;", "the nearest is --out;", "see dae train --help"}},
           BadInput{"train toy --thread 1 --out @/r", 2, {"found --thread;", "the nearest is --threads;"}},
           BadInput{
               "eval fid A B --wieghts w", 2, {"found --wieghts;", "--weights;", "see dae eval fid --help"}},
           BadInput{"train toy", 2, {"--out", "see dae train --help"}},
           BadInput{"train tou --out @/r", 2, {"tou:", "the nearest is toy"}},
       })
    check(folder, row);
}

TEST_CASE("the nearest word is the one with the fewest letters to change") {
  CHECK(nearest("abc", {"xyz", "abd", "ab"}) == "abd");  // the first of two at distance 1
  CHECK(nearest("", {"ab", "a"}) == "a");
  CHECK(nearest("kitten", {"sitting", "mitten"}) == "mitten");
}

TEST_CASE("help of a verb, of any depth, lists the options of every verb; that of dae does once") {
  const Folder folder;
  for (const char* verb : {"train", "sample", "eval fid", "inspect latent", "reproduce toy", "bench"}) {
    const std::string text = output(folder, std::string(verb) + " -h");
    CAPTURE(text);
    CHECK(has(text, "Options of every verb:"));
    for (const char* option : {"--device", "--threads", "--seed", "--json", "--quiet"})
      CHECK(has(text, option));
  }
  const std::string text = output(folder, "--help");
  CHECK(text.find("--device") == text.rfind("--device"));
}

TEST_CASE("a copied program works alone: the recipes are part of it") {
  const Folder folder;
  fs::create_directory(folder / "elsewhere");
  fs::copy_file(DAE_PROGRAM, folder / "elsewhere/dae");
  const std::string alone = "cd / && env -i '" + folder / "elsewhere/dae" + "' ";
  const auto sh = [&](const std::string& arguments) {
    return std::system((alone + in_folder(folder, arguments)).c_str());
  };
  CHECK(sh("train toy -q --threads 1 --set train.steps=2 --set train.batch=8 --out @/run") == 0);
  CHECK(fs::exists(folder / "run/report.html"));
  CHECK(sh("train toy.toml -q --threads 1 --set train.steps=2 --set train.batch=8 --out @/named") == 0);
  // A recipe by its path.
  fs::copy_file(DAE_SOURCE "/train/recipes/toy.toml", folder / "mine.toml");
  CHECK(sh("train @/mine.toml -q --threads 1 --set train.steps=2 --set train.batch=8 --out @/mine") == 0);
  CHECK(read(folder / "mine/recipe.toml") == read(folder / "run/recipe.toml"));
}

TEST_CASE("train --list names every shipped recipe") {
  const Folder folder;
  const std::string text = output(folder, "train --list");
  const auto json = nlohmann::json::parse(output(folder, "train --list --json"));
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(DAE_SOURCE "/train/recipes")) {
    const std::string name = entry.path().stem().string();
    CHECK(has(text, name + " "));
    CHECK(json[count++]["what"].get<std::string>().size() > 10);
  }
  CHECK(json.size() == count);
}

TEST_CASE("bench --list prints the names of the rows that --filter leaves, and times nothing") {
  const Folder folder;
  const std::string text = output(folder, "bench --list --filter 'softmax|embedding fwd'");
  CHECK(has(text, "embedding fwd"));
  CHECK(has(text, "softmax"));
  CHECK_FALSE(has(text, "conv2d"));
  CHECK_FALSE(has(text, "GFLOP/s"));
  const auto json = nlohmann::json::parse(output(folder, "bench --list --json"));
  CHECK(json["rows"].size() > 50);
  CHECK(json["rows"][0]["op"].is_string());
}

TEST_CASE("sample and reconstruct into folders of PNG files; pairs of pictures and of folders are judged") {
  const Folder folder;
  std::string error;
  REQUIRE(run(folder, kSmall, error) == 0);
  const auto line = [&](const std::string& arguments) {
    return output(folder, "-q --threads 1 " + arguments);
  };
  const auto bytes = [](const std::string& path) {
    std::vector<uint8_t> out;
    const std::unique_ptr<ImageSet> images = open_images(path);
    for (const Image& image : images->read(0, images->size()))
      out.insert(out.end(), image.bytes.begin(), image.bytes.end());
    return out;
  };
  CHECK(has(line("sample @/run --count 103 --out @/drawn"), "103 images at step 1"));
  line("sample @/run --count 103 --out @/drawn.npz");
  CHECK(fs::exists(folder / "drawn/00000.png"));
  CHECK(fs::exists(folder / "drawn/00102.png"));
  CHECK_FALSE(fs::exists(folder / "drawn/00103.png"));
  CHECK(bytes(folder / "drawn") == bytes(folder / "drawn.npz"));
  check(folder, {"sample @/run --count 3 --out @/drawn", 2, {"empty folder", "drawn"}});

  const auto made = nlohmann::json::parse(line("reconstruct @/run --count 5 --out @/made --json"));
  const std::string said = line("reconstruct @/run --count 5 --out @/made.npz");
  CHECK(has(said, "mean squared error "));
  CHECK(std::stod(said.substr(said.find("error ") + 6)) ==
        doctest::Approx(made["mse"].get<double>()).epsilon(1e-4));
  CHECK(bytes(folder / "made/reconstructions") == bytes(folder / "made.npz"));
  CHECK(bytes(folder / "made/originals") == bytes(folder / "made-originals.npz"));
  CHECK(bytes(folder / "made/originals") != bytes(folder / "made.npz"));

  // The printed error is that of the pixels, up to their rounding to bytes.
  const std::vector<uint8_t> x = bytes(folder / "made-originals.npz"), y = bytes(folder / "made.npz");
  double squares = 0;
  for (size_t i = 0; i < x.size(); ++i) squares += std::pow((x[i] - y[i]) / 127.5, 2);
  CHECK(squares / double(x.size()) == doctest::Approx(made["mse"].get<double>()).epsilon(0.01));

  for (const char* metric : {"psnr", "ssim"}) {
    const auto of = [&](const std::string& a, const std::string& b) {
      return nlohmann::json::parse(line("eval " + std::string(metric) + " " + a + " " + b + " --json"));
    };
    const auto all = of("@/made/reconstructions", "@/made/originals"),
               one = of("@/made/reconstructions/00003.png", "@/made/originals/00003.png");
    CHECK(all["values"].size() == 5);
    CHECK(one["values"].size() == 1);
    CHECK(one["value"] == all["values"][3]);
  }
  write(folder / "text.png", "no picture");
  check(folder, {"eval psnr @/text.png @/drawn/00000.png", 3, {"text.png", "PNG or JPEG"}});
  const std::string png = read(folder / "drawn/00000.png");
  write(folder / "cut.png", png.substr(0, png.size() / 2));
  check(folder, {"eval ssim @/cut.png @/drawn/00000.png", 3, {"cut.png"}});
}

TEST_CASE("convert --only keeps a part of the weights") {
  const Folder folder;
  std::string error;
  REQUIRE(run(folder, kSmall, error) == 0);
  const std::string file = "convert @/run/checkpoints/step-00000001.safetensors ";
  const auto names = [&](const std::string& path) {
    const auto json = nlohmann::json::parse(output(folder, "inspect " + path + " --json"));
    std::vector<std::string> out;
    for (const auto& t : json["tensors"]) out.push_back(t["name"]);
    return out;
  };
  output(folder, file + "@/all.safetensors");
  output(folder, file + "@/part.safetensors --only encoder. --only discriminator. --prefix encoder.=e.");
  size_t kept = 0;
  for (const std::string& name : names("@/all.safetensors"))
    kept += name.starts_with("encoder.") || name.starts_with("discriminator.");
  const std::vector<std::string> part = names("@/part.safetensors");
  CHECK(kept > 0);
  CHECK(part.size() == kept);
  for (const std::string& name : part) CHECK((name.starts_with("e.") || name.starts_with("discriminator.")));
  check(folder, {file + "@/none.safetensors --only decoder.", 2, {"--only decoder.", "step-00000001"}});
  CHECK_FALSE(fs::exists(folder / "none.safetensors"));
}

}  // namespace dae
