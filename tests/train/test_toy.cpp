// The toy study: its data, its reference accuracies, and a short training.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/sets/toy.h"
#include "kernels/cpu/parallel.h"
#include "models/toy_vae.h"
#include "tests/support/program.h"
#include "train/paper/toy_study.h"
#include "train/run/loop.h"
#include "train/run/trained.h"

namespace dae {

TEST_CASE("the Bayes accuracy of the mixture") {
  // The values come from an independent simulation of 4,000,000 points.
  CHECK(std::abs(toy_bayes_accuracy({0.25}) - 0.5588) < 0.0008);
  CHECK(std::abs(toy_bayes_accuracy({0.025}) - 0.9846) < 0.0002);
  CHECK(toy_bayes_accuracy({1e-4}) == doctest::Approx(1));
  CHECK(toy_bayes_accuracy({0.3, 1}) == doctest::Approx(1));  // one cluster: the whole turn
  // The nearest of the cluster means of a large sample is almost the best classifier.
  const ToySpec spec{0.06};
  const ToyData data = make_toy(spec, 200000, 3, 0);
  std::vector<float> centres(8 * 10);
  std::vector<int32_t> names(8), sizes(8);
  for (int64_t n = 0; n < data.count(); ++n) {
    ++sizes[data.label[n]];
    for (int d = 0; d < 10; ++d) centres[data.label[n] * 10 + d] += data.x[n * 10 + d];
  }
  for (int k = 0; k < 8; ++k) {
    names[k] = k;
    CHECK(sizes[k] == doctest::Approx(25000).epsilon(0.03));
    for (int d = 0; d < 10; ++d) centres[k * 10 + d] /= float(sizes[k]);
  }
  CHECK(nearest_neighbour_accuracy(centres, names, data.x, data.label, 10) ==
        doctest::Approx(toy_bayes_accuracy(spec)).epsilon(0.003));
}

TEST_CASE("the map to 10-D keeps distances, and both parts share it") {
  const ToySpec spec{1e-12};
  const ToyData train = make_toy(spec, 64, 5, 0), test = make_toy(spec, 64, 5, 1);
  CHECK(train.label != test.label);
  for (int64_t i = 0; i < 64; ++i)
    for (int64_t j = 0; j < 64; ++j) {
      double distance = 0;
      for (int d = 0; d < 10; ++d) distance += std::pow(train.x[i * 10 + d] - test.x[j * 10 + d], 2);
      const double angle = 2 * 3.141592653589793 * (train.label[i] - test.label[j]) / 8;
      CHECK(std::sqrt(distance) == doctest::Approx(2 * std::abs(std::sin(angle / 2))).epsilon(1e-4));
    }
  CHECK_THROWS(make_toy({0}, 8, 0, 0));
}

TEST_CASE("nearest neighbour: lowest index on ties") {
  CHECK(nearest_neighbour_accuracy({0, 0, 2, 0}, {7, 8}, {1, 0, 3, 0}, {7, 8}, 2) == 1.0);
  CHECK(nearest_neighbour_accuracy({0, 0, 2, 0}, {7, 8}, {1, 0, 3, 0}, {8, 8}, 2) == 0.5);
}

TEST_CASE("the toy VAE has the sizes and names of its PyTorch twin") {
  Rng init(1);
  toy::ToyVae vae({Dtype::f32, &init}, 10, 2, 64, 128);
  CHECK(vae.encoder.parameter_count() == 5124);
  CHECK(vae.decoder->parameter_count() == 18186);
  const auto params = vae.encoder.params();
  REQUIRE(params.size() == 6);
  CHECK(params[0]->name == "encoder.0.weight");
  CHECK(params[5]->name == "encoder.4.bias");
  CHECK(vae.decoder->params()[2]->name == "decoder.2.weight");
}

TEST_CASE("a short training learns, repeats its bits, and is what dae train makes of the same recipe") {
  for (const char* kind : {"joint", "dae"}) {
    const Recipe recipe = load_recipe(
        "toy", {std::string("schedule.kind=") + kind, "seed=11", "data.count=1024", "data.variance=0.01",
                "train.batch=64", "train.steps=192", "loss.reconstruction=10"});
    const ToyAccuracy a = train_toy(recipe), b = train_toy(recipe);
    CHECK(a.latent > 0.8);
    CHECK(a.reconstruction > 0.8);
    CHECK(a.latent == b.latent);
    CHECK(a.reconstruction == b.reconstruction);

    const std::filesystem::path run =
        std::filesystem::temp_directory_path() / ("dae-toy-" + std::to_string(getpid()));
    run_training(recipe, {.run = run.string(), .quiet = true});
    const Trained trained = load_trained(run.string(), Device::cpu);
    std::filesystem::remove_all(run);
    const ToyAccuracy c = judge_toy(*trained.learner, recipe);
    CHECK(a.latent == c.latent);
    CHECK(a.reconstruction == c.reconstruction);
  }
}

TEST_CASE("runs in parallel give what they give one after another") {
  const Recipe recipe = load_recipe("toy", {"data.count=512", "train.batch=64", "train.steps=32"});
  const ToyOptions options{.recipe = recipe, .seeds = 2, .master = 1, .weights = {2.0}};
  const auto first = toy_study(options);
  const int threads = thread_count();
  set_thread_count(1);
  const auto second = toy_study(options);
  set_thread_count(threads);
  REQUIRE(first.size() == 4);
  bool seeds_differ = false;
  for (size_t i = 0; i < first.size(); ++i) {
    REQUIRE(first[i].runs.size() == 2);
    seeds_differ |= first[i].runs[0].latent != first[i].runs[1].latent;
    for (size_t r = 0; r < 2; ++r) {
      CHECK(first[i].runs[r].latent == second[i].runs[r].latent);
      CHECK(first[i].runs[r].reconstruction == second[i].runs[r].reconstruction);
    }
  }
  CHECK(seeds_differ);
}

TEST_CASE("the program's table has the rows and keys that scripts read") {
  const std::string text = output(Folder(), "--json -q reproduce toy --seeds 1 --seed 9 --recon-weight 2");
  const auto json = nlohmann::json::parse(text);
  CHECK(json["table"] == "toy");
  CHECK(json["bayes_accuracy"].get<double>() == doctest::Approx(98.46).epsilon(0.001));
  const char* expected[][2] = {{"latent", "VAE (64,128)"},
                               {"latent", "VAE (128,64)"},
                               {"reconstruction", "VAE (128,128)"},
                               {"reconstruction", "DAE (128,128)"}};
  const double paper[][2] = {{80.6, 7.0}, {87.8, 5.8}, {92.2, 6.1}, {98.0, 1.3}};
  REQUIRE(json["rows"].size() == 4);
  for (size_t i = 0; i < 4; ++i) {
    const auto& row = json["rows"][i];
    CHECK(row["name"] == expected[i][0]);
    CHECK(row["config"] == expected[i][1]);
    CHECK(row["paper_mean"] == paper[i][0]);
    CHECK(row["paper_std"] == paper[i][1]);
    CHECK(row["mean"].get<double>() > 90);  // at c = 2 all are near the accuracy of the data
    CHECK(row["std"].is_null());            // one run has no deviation
  }
  REQUIRE(json["extra"].size() == 4);
  for (const auto& row : json["extra"]) CHECK(row["recon_weight"] == 2);
  CHECK(json["notes"][1].get<std::string>().find("0.25 cannot be the variance") != std::string::npos);
}

}  // namespace dae
