// SimCLR: its training against PyTorch, its augmentation against torchvision, its probe against plain loops, and
// both of its experiments from beginning to end.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "data/augment.h"
#include "data/loader.h"
#include "models/simclr.h"
#include "tests/golden.h"
#include "tests/program.h"
#include "train/checkpoint.h"
#include "train/probe.h"

namespace {

const std::vector<std::string> kTiny = {"data.kind=procedural", "model.width=0.03125", "model.z_dim=8",
                                        "train.batch=4",        "data.count=40",       "probe.every=0"};

Metrics last_metrics(Experiment& experiment, const Recipe& recipe, int64_t steps) {
  Feed feed(recipe, 0);
  Metrics metrics;
  for (int64_t step = 1; step <= steps; ++step)
    metrics = read(experiment.step(feed.next().x, *drawn_noise(recipe.seed, uint32_t(step), Device::cpu)));
  return metrics;
}

}  // namespace

TEST_CASE("parameters of the ResNet-18 are torchvision's without fc, with the stem of 3x3") {
  Rng init(1);
  Simclr model(Build{Dtype::f32, &init}, 128, 1);
  CHECK(model.backbone.parameter_count() == 11168832);
  CHECK(model.parameter_count() == 11168832 + 512 * 512 + 2 * 512 + 512 * 128 + 128);
  // He's normals by the fan-out; 147,456 of them estimate their deviation to 0.2 %, five times that is allowed.
  const Tensor& w = model.backbone.layer2.second.conv1.weight.value;
  const double deviation = l2_norm(w).item() / std::sqrt(double(w.size()));
  CHECK(std::abs(deviation / std::sqrt(2.0 / (128 * 9)) - 1) < 0.01);
}

// In f64, where both sides round at 1e-16 and three steps of a net of this depth lose some six digits at most.
TEST_CASE("three steps as PyTorch takes them: losses, gradients, weights, statistics, features") {
  const Golden golden("simclr-small.safetensors");
  std::vector<std::string> sets = {"dtype=f64"};
  for (const std::string& key : golden.names("recipe."))
    sets.push_back(fmt::format("{}={}", key, golden["recipe." + key].item()));
  const Recipe recipe = load_recipe("simclr-cifar10", sets);
  const std::unique_ptr<Experiment> experiment = make_experiment(recipe);
  fill_by_formula(experiment->state());

  const int64_t rows = 2 * recipe.train.batch, steps = recipe.train.steps;
  const Shape all{steps * rows, 3, 32, 32};
  const Tensor images = from_torch(Tensor::of(all, formula_pattern("images", all.size()), Dtype::f64));
  const std::vector<double> losses = golden["losses.loss"].values();
  for (int64_t step = 0; step < steps; ++step) {
    const Tensor x = slice(images, 0, step * rows, (step + 1) * rows);
    const double loss = experiment->step(x, *drawn_noise(0, 1, Device::cpu))[0].second.item();
    INFO("step ", step, ": expected ", losses[size_t(step)], ", found ", loss);
    CHECK(std::abs(loss - losses[size_t(step)]) <= 1e-8 * losses[size_t(step)]);
    if (step > 0) continue;
    AdamW& optimizer = *experiment->optimizers()[0].second;
    CHECK(optimizer.trainable().size() == golden.names("grad.").size());
    for (const Param* p : optimizer.trainable()) {  // the first moment is (1 - beta1) times the gradient
      const NoGrad off;
      const Tensor g = scale(optimizer.moments(*p).m, 1 / (1 - recipe.optimizer.beta1));
      check_summary(p->name, p->layout == Layout::conv ? permute(g, {0, 3, 1, 2}) : g, golden["grad." + p->name],
                    1e-8);
    }
  }
  CHECK(experiment->state().size() == golden.names("final.").size());
  for (const Param* p : experiment->state()) {
    INFO(p->name);
    if (p->counter) CHECK(p->value.item() == golden["final." + p->name].item());
    else check_summary(p->name, p->to_file(), golden["final." + p->name], 1e-8);
  }
  const Tensor x = slice(images, 0, 0, rows);
  CHECK(relative_error(experiment->features(x), golden["features"]) < 1e-8);
  CHECK(relative_error(experiment->encode(x), golden["projection"]) < 1e-8);
}

// In f32 the mask of the diagonal must leave nothing of a row itself, and a cosine of 1 must not overflow.
TEST_CASE("NT-Xent: identical pairs far from the others have the loss of a sure answer") {
  const Tensor a = Tensor::of({2, 3}, {2, 0, 0, 0, 3, 0});
  // Of each row the cosines are 1 with its partner and 0 with both others.
  const double expected = std::log(1 + 2 * std::exp(-1 / 0.1));
  CHECK(std::abs(NtXent(2, 0.1, Dtype::f32, Device::cpu)(a, a).item() - expected) < 1e-6);
}

// Recorded in f32, the hue computed in it: 1e-6 of a value in [0, 1]. Pillow rounds to bytes after every op (a
// resize is two): two levels for one op. It cuts hue and shift down to bytes, 1/256 of a turn, which is 6/256 of
// the range of a pixel's channels: twelve levels where there is a hue, and on the mean the two of one op.
TEST_CASE("augmentation as torchvision's: each op, and all of them") {
  const Golden golden("augment.safetensors");
  const Tensor& image = golden["image"];
  const std::vector<double> original = image.values();
  int cases = 0;
  for (const std::string& full : golden.names("")) {
    if (!full.ends_with(".how")) continue;
    const std::string name = full.substr(0, full.size() - 4);
    const std::vector<double> how = golden[full].values();
    Augmentation augmentation;
    augmentation.crop = {int64_t(how[0]), int64_t(how[1]), int64_t(how[2]), int64_t(how[3])};
    augmentation.flip = how[4] != 0, augmentation.jitter = how[5] != 0, augmentation.grey = how[14] != 0;
    for (size_t i = 0; i < 4; ++i) {
      augmentation.strength[i] = how[6 + i];
      augmentation.order[i] = Augmentation::Jitter(int(how[10 + i]));
    }
    std::vector<double> values = original;
    for (double& v : values) v = 2 * v - 1;
    augment(augmentation, image.dim(0), image.dim(1), values);
    const std::vector<double> floats = golden[name + ".floats"].values(), bytes = golden[name + ".bytes"].values();
    double worst = 0, levels = 0, total = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      const double v = 0.5 * values[i] + 0.5, level = std::abs(std::round(255 * v) - bytes[i]);
      worst = std::max(worst, std::abs(v - floats[i])), levels = std::max(levels, level), total += level;
    }
    INFO(name, ": ", worst, "; levels ", levels, ", mean ", total / double(values.size()));
    CHECK(worst < 1e-6);
    CHECK(levels <= (augmentation.strength[Augmentation::hue] != 0 ? 12 : 2));
    CHECK(total < 2 * double(values.size()));
    ++cases;
  }
  CHECK(cases == 14);
}

// Shares and means of 20,000 draws lie within five standard errors.
TEST_CASE("what is drawn has torchvision's distribution") {
  const Golden golden("augment.safetensors");
  constexpr int kDraws = 20000;
  const double error = 5 / std::sqrt(double(kDraws));
  double flips = 0, jitters = 0, greys = 0;
  std::map<std::array<Augmentation::Jitter, 4>, int> orders;
  std::vector<double> sums(4), strengths(4), squares(4);
  for (uint64_t i = 0; i < kDraws; ++i) {
    const Augmentation how = draw_augmentation(Key{11, 5, 0}, i, 32, 32);
    const Window& w = how.crop;
    REQUIRE((w.top >= 0 && w.left >= 0 && w.height > 0 && w.width > 0));
    REQUIRE((w.top + w.height <= 32 && w.left + w.width <= 32));
    const std::array<int64_t, 4> crop = {w.top, w.left, w.height, w.width};
    for (size_t k = 0; k < 4; ++k) {
      sums[k] += double(crop[k]), strengths[k] += how.strength[k];
      squares[k] += how.strength[k] * how.strength[k];
    }
    flips += how.flip, jitters += how.jitter, greys += how.grey, ++orders[how.order];
  }
  const std::vector<double> crops = golden["crops"].values();
  for (size_t k = 0; k < 4; ++k) {
    INFO(k);
    CHECK(std::abs(sums[k] / kDraws - crops[k]) < error * crops[4 + k]);
    const double half = k == Augmentation::hue ? 0.1 : 0.4, centre = k == Augmentation::hue ? 0 : 1;
    const double mean = strengths[k] / kDraws, deviation = half / std::sqrt(3.0);
    CHECK(std::abs(mean - centre) < error * deviation);
    CHECK(std::abs(std::sqrt(squares[k] / kDraws - mean * mean) / deviation - 1) < error);
  }
  CHECK(std::abs(flips / kDraws - 0.5) < error * 0.5);
  CHECK(std::abs(jitters / kDraws - 0.8) < error * 0.4);
  CHECK(std::abs(greys / kDraws - 0.2) < error * 0.4);
  CHECK(orders.size() == 24);
  for (const auto& [order, count] : orders) CHECK(std::abs(count / double(kDraws) - 1 / 24.0) < error * 0.2);
}

TEST_CASE("the loader: two views that differ, of the same images; the same from any batch on; no other numbers") {
  LoaderOptions options;
  options.kind = "procedural", options.size = 12, options.count = 50, options.batch = 7, options.seed = 3;
  options.two_views = true;
  Loader whole(options);
  std::vector<std::vector<float>> values;
  for (int i = 0; i < 9; ++i) {
    const RawBatch batch = whole.next();
    CHECK(batch.shape == std::vector<int64_t>{14, 12, 12, 3});
    REQUIRE(batch.labels.size() == 14);
    CHECK(std::equal(batch.labels.begin(), batch.labels.begin() + 7, batch.labels.begin() + 7));
    values.push_back(std::get<std::vector<float>>(batch.values));
    const size_t half = values.back().size() / 2;
    CHECK_FALSE(std::equal(values.back().begin(), values.back().begin() + half, values.back().begin() + half));
  }
  CHECK(values[0] != values[7]);  // of another epoch
  options.start = 5;
  Loader later(options);
  for (size_t i = 5; i < 9; ++i) CHECK(std::get<std::vector<float>>(later.next().values) == values[i]);
  options.seed = 4;
  CHECK(std::get<std::vector<float>>(Loader(options).next().values) != values[5]);

  options.kind = "toy", options.seed = 3;
  CHECK_THROWS_AS(Loader{options}, Error);
}

TEST_CASE("the probe votes as plain loops do") {
  constexpr int64_t kBank = 57, kQueries = 103, kWidth = 5, kNearest = 11;
  const double temperature = 0.5;
  const Tensor bank = uniform({kBank, kWidth}, -1, 1, Key{1, 0, 0}, Dtype::f64),
               queries = uniform({kQueries, kWidth}, -1, 1, Key{2, 0, 0}, Dtype::f64);
  std::vector<int64_t> bank_labels, labels;
  for (uint64_t i = 0; i < kBank; ++i) bank_labels.push_back(random_bits(Key{3, 0, 0}, i) % 3);
  for (uint64_t i = 0; i < kQueries; ++i) labels.push_back(random_bits(Key{4, 0, 0}, i) % 3);

  const std::vector<double> b = bank.values(), q = queries.values();
  int64_t right = 0;
  for (size_t i = 0; i < kQueries; ++i) {
    std::vector<std::pair<double, int64_t>> near;  // cosine, label
    for (size_t j = 0; j < kBank; ++j) {
      double dot = 0, bb = 0, qq = 0;
      for (size_t c = 0; c < kWidth; ++c) {
        const double u = b[j * kWidth + c], v = q[i * kWidth + c];
        dot += u * v, bb += u * u, qq += v * v;
      }
      near.push_back({dot / std::sqrt(bb * qq), bank_labels[j]});
    }
    std::sort(near.rbegin(), near.rend());
    double votes[3] = {};
    for (size_t j = 0; j < kNearest; ++j) votes[near[j].second] += std::exp(near[j].first / temperature);
    right += std::max_element(votes, votes + 3) - votes == labels[i];
  }
  CHECK(knn_accuracy(bank, bank_labels, queries, labels, kNearest, temperature) ==
        double(right) / double(kQueries));
  CHECK(knn_accuracy(bank, bank_labels, bank, bank_labels, 1, temperature) == 1);  // each is its own nearest
}

// Four kinds of shapes, whatever their colour and place. Chance is 0.25; 300 queries err by 0.025. Raw pixels, and
// the net before its first step, are near chance; 60 steps at a small width find more.
TEST_CASE("learning: the probe's accuracy on the kinds of shapes rises") {
  const Recipe recipe = load_recipe(
      "simclr-cifar10", {"data.kind=procedural", "model.width=0.125", "model.z_dim=32", "train.batch=32",
                         "probe.train=500", "probe.test=300", "probe.neighbours=20"});
  const std::unique_ptr<Experiment> experiment = make_experiment(recipe);
  const Probe probe(recipe);
  const double before = probe.accuracy(*experiment);
  last_metrics(*experiment, recipe, 60);
  const double after = probe.accuracy(*experiment);
  MESSAGE("accuracy of the probe: ", before, " before, ", after, " after");
  CHECK(after > before + 0.1);
  CHECK(after > 0.4);
}
