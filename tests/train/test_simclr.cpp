// SimCLR: the training against PyTorch, the augmentation against torchvision, the probe against plain loops,
// and both of its learners from beginning to end.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "data/images/augment.h"
#include "data/sets/loader.h"
#include "kernels/cpu/parallel.h"
#include "models/simclr.h"
#include "tests/support/golden.h"
#include "tests/support/program.h"
#include "train/evaluation/probe.h"
#include "train/feed/feed.h"
#include "train/learners/registry.h"
#include "train/run/checkpoint.h"

namespace dae {

namespace {

const std::vector<std::string> kTiny = {"data.kind=procedural", "model.width=0.03125", "model.z_dim=8",
                                        "train.batch=4",        "data.count=40",       "probe.every=0"};

// Writes a SimCLR with random weights to a file in `folder`, as the frozen encoder of another model.
std::string encoder_file(const Folder& folder, const std::string& name, int seed,
                         const std::string& z_dim = "8") {
  std::vector<std::string> sets = kTiny;
  sets.insert(sets.end(), {"model.z_dim=" + z_dim, fmt::format("seed={}", seed)});
  const std::string path = (folder.path / name).string();
  save_checkpoint(path, *make_learner(load_recipe("simclr-cifar10", sets)), {});
  return path;
}

}  // namespace

TEST_CASE("parameters of the ResNet-18 are torchvision's without fc, with the stem of 3x3") {
  Rng init(1);
  simclr::Simclr model(Build{Dtype::f32, &init}, 128, 1);
  CHECK(model.backbone.parameter_count() == 11168832);
  CHECK(model.parameter_count() == 11168832 + 512 * 512 + 2 * 512 + 512 * 128 + 128);
  // He's normal initialisation with the fan-out. 147,456 values estimate the deviation to 0.2 %; five times
  // that is allowed.
  const Tensor& w = model.backbone.layer2.second.conv1.weight.value;
  const double deviation = l2_norm(w).item() / std::sqrt(double(w.size()));
  CHECK(std::abs(deviation / std::sqrt(2.0 / (128 * 9)) - 1) < 0.01);
}

// In f64 both sides round at 1e-16, and three steps of a network of this depth lose at most about six digits.
TEST_CASE("three steps as PyTorch takes them: losses, gradients, weights, statistics, features") {
  const Golden golden("simclr-small.safetensors");
  std::vector<std::string> sets = {"dtype=f64"};
  for (const std::string& key : golden.names("recipe."))
    sets.push_back(fmt::format("{}={}", key, golden["recipe." + key].item()));
  const Recipe recipe = load_recipe("simclr-cifar10", sets);
  const std::unique_ptr<Learner> learner = make_learner(recipe);
  fill_by_formula(learner->state());

  const int64_t rows = 2 * recipe.train.batch, steps = recipe.train.steps;
  const Shape all{steps * rows, 3, 32, 32};
  const Tensor images = from_torch(Tensor::of(all, formula_pattern("images", all.size()), Dtype::f64));
  const std::vector<double> losses = golden["losses.loss"].values();
  for (int64_t step = 0; step < steps; ++step) {
    const Tensor x = slice(images, 0, step * rows, (step + 1) * rows);
    const double loss =
        learner->step({x, {}}, {*drawn_noise(0, 1, Device::cpu), int64_t(1)})[0].second.item();
    INFO("step ", step, ": expected ", losses[size_t(step)], ", found ", loss);
    CHECK(std::abs(loss - losses[size_t(step)]) <= 1e-8 * losses[size_t(step)]);
    if (step > 0) continue;
    AdamW& optimizer = *learner->optimizers()[0].second;
    CHECK(optimizer.trainable().size() == golden.names("grad.").size());
    for (const Param* p : optimizer.trainable()) {  // the first moment is (1 - beta1) times the gradient
      const NoGrad off;
      const Tensor g = scale(optimizer.moments(*p).m, 1 / (1 - recipe.optimizer.beta1));
      check_summary(p->name, p->layout == Layout::conv ? permute(g, {0, 3, 1, 2}) : g,
                    golden["grad." + p->name], 1e-8);
    }
  }
  CHECK(learner->state().size() == golden.names("final.").size());
  for (const Param* p : learner->state()) {
    INFO(p->name);
    if (p->counter) CHECK(p->value.item() == golden["final." + p->name].item());
    else check_summary(p->name, p->to_file(), golden["final." + p->name], 1e-8);
  }
  const Tensor x = slice(images, 0, 0, rows);
  CHECK(relative_error(learner->encoder()->features(x), golden["features"]) < 1e-8);
  CHECK(relative_error(learner->encoder()->encode(x), golden["projection"]) < 1e-8);
}

// In f32 the mask must remove a row's product with itself, and a cosine of 1 must not overflow.
TEST_CASE("NT-Xent: identical pairs far from the others have the loss of a sure answer") {
  const Tensor a = Tensor::of({2, 3}, {2, 0, 0, 0, 3, 0});
  // The cosine of a row is 1 with its partner and 0 with the two others.
  const double expected = std::log(1 + 2 * std::exp(-1 / 0.1));
  CHECK(std::abs(simclr::NtXent(0.1)(a, a).item() - expected) < 1e-6);
}

// Limits. torchvision computes the hue in f32: 1e-6 for values in [0, 1]. Pillow rounds to bytes after every
// operation (a resize has two): two levels for one operation. Pillow truncates hue and shift to bytes, 1/256
// of a turn, which is 6/256 of the range of a pixel's channels: twelve levels for a hue, and two on the mean.
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
    const std::vector<double> floats = golden[name + ".floats"].values(),
                              bytes = golden[name + ".bytes"].values();
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

// Fractions and means of 20,000 draws must lie within five standard errors.
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

TEST_CASE(
    "the loader: two views that differ, of the same images; the same from any batch on; no other numbers") {
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
    CHECK_FALSE(
        std::equal(values.back().begin(), values.back().begin() + half, values.back().begin() + half));
  }
  CHECK(values[0] != values[7]);  // the two are from different epochs
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

namespace {

// Returns a grey texture with noise: horizontal, vertical or diagonal stripes, or a chequerboard, with random
// width, place, brightness and contrast. No crop, flip or colour jitter changes the kind.
std::vector<double> texture(int64_t kind, uint64_t number) {
  const Key key{21, 0, uint32_t(number)};
  const auto u = [&](uint64_t i) { return double(unit_uniform(random_bits(key, i))); };
  const double waves = 0.4 + 0.8 * u(0), place = 6.28 * u(1), other = 6.28 * u(2),
               contrast = 0.15 + 0.25 * u(3), base = 0.3 * u(4) - 0.15, slant = u(5) < 0.5 ? 1 : -1;
  std::vector<double> image;
  for (int64_t y = 0; y < 32; ++y)
    for (int64_t x = 0; x < 32; ++x) {
      const double across = std::sin(waves * double(y) + place),
                   upright = std::sin(waves * double(x) + other),
                   aslant = std::sin(0.7 * waves * (double(y) + slant * double(x)) + place);
      const double wave = kind == 0 ? across : kind == 1 ? upright : kind == 2 ? aslant : across * upright;
      const double value = base + contrast * wave + 0.25 * (u(uint64_t(8 + y * 32 + x)) - 0.5);
      image.insert(image.end(), 3, std::clamp(value, -1.0, 1.0));
    }
  return image;
}

}  // namespace

// Chance is 0.25, and an accuracy over 200 queries has a standard error of 0.035. Random features are already
// better than chance.
TEST_CASE("learning: the probe tells kinds of textures apart better after a few steps") {
  constexpr int64_t kSteps = 80, kBatch = 32, kKnown = 400, kAsked = 200;
  const Recipe recipe =
      load_recipe("simclr-cifar10", {"model.width=0.125", "model.z_dim=32", "train.batch=32"});
  const std::unique_ptr<Learner> learner = make_learner(recipe);
  const auto images = [&](uint64_t begin, int64_t count) {
    std::vector<double> values;
    for (uint64_t i = begin; i < begin + uint64_t(count); ++i) {
      const std::vector<double> image = texture(int64_t(i % 4), i);
      values.insert(values.end(), image.begin(), image.end());
    }
    return Tensor::of({count, 32, 32, 3}, values);
  };
  const auto accuracy = [&] {
    std::vector<int64_t> kinds;
    for (int64_t i = 0; i < kKnown; ++i) kinds.push_back(i % 4);
    return knn_accuracy(learner->encoder()->features(images(0, kKnown)), kinds,
                        learner->encoder()->features(images(kKnown, kAsked)), kinds, 20, 0.5);
  };
  set_thread_count(1);  // many small ops: on a busy machine, threads that wait for each other are slower
  const double before = accuracy();
  for (int64_t step = 0; step < kSteps; ++step) {
    std::vector<double> values;
    for (uint32_t view = 0; view < 2; ++view)
      for (int64_t i = 0; i < kBatch; ++i) {
        const auto at = uint64_t(step * kBatch + i);
        std::vector<double> image = texture(int64_t(at % 4), 1000 + at);
        augment(draw_augmentation(Key{5, 0, view}, at, 32, 32), 32, 32, image);
        values.insert(values.end(), image.begin(), image.end());
      }
    learner->step({Tensor::of({2 * kBatch, 32, 32, 3}, values), {}},
                  {*drawn_noise(0, 1, Device::cpu), int64_t(1)});
  }
  const double after = accuracy();
  INFO("accuracy ", before, " before, ", after, " after");
  CHECK(after > before + 0.15);
  CHECK(after > 0.7);
}

TEST_CASE("DCGAN on SimCLR: latents are projections of the given length; the encoder stays as it is") {
  const Folder folder;
  std::vector<std::string> sets = kTiny;
  sets.push_back("upstream.run=" + encoder_file(folder, "encoder.safetensors", 1));
  const Recipe recipe = load_recipe("dcgan-simclr-cifar10", sets);
  const std::unique_ptr<Learner> learner = make_learner(recipe);
  Feed feed(recipe, 0);
  const Tensor x = feed.next().x, z = learner->encoder()->encode(x);
  CHECK(z.shape() == Shape{4, 8});
  for (const double squares : sum_last(square(z)).values())
    CHECK(squares == doctest::Approx(8).epsilon(1e-5));
  {
    std::vector<std::string> unit = sets;
    unit.push_back("model.latent=unit");
    CHECK(relative_error(scale(make_learner(load_recipe("dcgan-simclr-cifar10", unit))->encoder()->encode(x),
                               std::sqrt(8)),
                         z) < 1e-6);
  }
  for (const Param* p : learner->state()) CHECK_FALSE(p->name.starts_with("backbone"));
  const Metrics metrics = read(learner->step({x, {}}, {*drawn_noise(0, 1, Device::cpu), int64_t(1)}));
  CHECK(metrics.size() == 2);
  CHECK(relative_error(learner->encoder()->encode(x), z) == 0);
  // Samples start from training images and depend on the noise alone.
  const auto sample = [&](uint64_t seed) {
    return learner->generator()->generate(3, *drawn_noise(seed, 1, Device::cpu));
  };
  CHECK(sample(1).shape() == Shape{3, 32, 32, 3});
  CHECK(relative_error(sample(1), sample(1)) == 0);
  CHECK(relative_error(sample(1), sample(2)) > 0);
  CHECK(relative_error(reconstruct(*learner, x), sample(1)) > 0);
}

// The step is that of DCGAN: with the encoder's latents as recorded noise, DCGAN has the same losses.
TEST_CASE(
    "DCGAN on SimCLR steps as DCGAN does from the same latents, the generator's from mirror images too") {
  const Folder folder;
  std::vector<std::string> sets = kTiny;
  const Recipe plain = load_recipe("dcgan-cifar10", sets);
  sets.push_back("upstream.run=" + encoder_file(folder, "encoder.safetensors", 1));
  const std::unique_ptr<Learner> ours = make_learner(load_recipe("dcgan-simclr-cifar10", sets));
  const std::unique_ptr<Learner> dcgan = make_learner(plain);
  Feed feed(plain, 0);
  const Tensor x = feed.next().x;
  Tensor mirror = x.clone();
  for (int64_t row = 0; row < 4 * 32; ++row)
    for (int64_t column = 0; column < 32; ++column)
      std::copy_n(x.data<float>() + (row * 32 + 31 - column) * 3, 3,
                  mirror.data<float>() + (row * 32 + column) * 3);

  class Given : public Noise {
   public:
    Given(const Tensor& first, const Tensor& second) : parts_{first, concat({first, second}, 0)} {}
    Tensor normal(const Shape& shape, Dtype) override {
      REQUIRE(parts_[used_].shape() == shape);
      return parts_[used_++];
    }
    Key key() override { return {}; }

   private:
    Tensor parts_[2];
    int used_ = 0;
  } noise(ours->encoder()->encode(x), ours->encoder()->encode(mirror));
  const Metrics expected = read(dcgan->step({x, {}}, {noise, 1})),
                found = read(ours->step({x, {}}, {noise, 1}));
  REQUIRE(found.size() == expected.size());
  for (size_t i = 0; i < found.size(); ++i) CHECK(found[i].second == expected[i].second);
}

TEST_CASE("the program: a DCGAN on a SimCLR run, its pictures, and what it refuses") {
  const Folder folder;
  std::string sets;
  for (const std::string& set : kTiny) sets += " --set " + set;
  std::string error;
  const std::string steps = " --set train.steps=2 --threads 1 -q";
  REQUIRE(
      run(folder,
          "train simclr-cifar10 --out @/simclr --set probe.every=1 --set probe.train=20 --set probe.test=15" +
              sets.substr(0, sets.rfind(" --set")) + steps,
          error) == 0);
  INFO(error);
  CHECK(read((folder.path / "simclr/metrics.jsonl").string()).find("\"knn\"") != std::string::npos);
  CHECK(std::filesystem::exists(folder.path / "simclr/samples/step-00000002-views.png"));
  const std::string gan = "train dcgan-simclr-cifar10 --out @/gan" + sets + steps;
  REQUIRE(run(folder, gan + " --set upstream.run=@/simclr", error) == 0);
  CHECK(read((folder.path / "gan/recipe.toml").string()).find("hash = \"\"") == std::string::npos);
  CHECK(run(folder, "sample @/gan --count 5 --out @/sample.png", error) == 0);
  CHECK(run(folder, "reconstruct @/gan --count 5 --out @/reconstruction.png", error) == 0);
  // The encoder's file may move, but its content must stay the same.
  std::filesystem::copy(folder.path / "simclr", folder.path / "moved",
                        std::filesystem::copy_options::recursive);
  CHECK(run(folder, gan + " --resume --set upstream.run=@/moved", error) == 0);

  encoder_file(folder, "other.safetensors", 2);
  encoder_file(folder, "narrow.safetensors", 2, "5");
  save_checkpoint(folder.path / "dcgan.safetensors", *make_learner(load_recipe("dcgan-cifar10", kTiny)), {});
  const std::string anew = "train dcgan-simclr-cifar10 --out @/new" + sets + steps;
  const BadInput rows[] = {
      {gan + " --resume --set upstream.run=@/other.safetensors", 2, {"hash = ", "expected", "found"}},
      {anew, 2, {"upstream.run", "expected a SimCLR run", "nothing"}},
      {anew + " --set upstream.run=@/none", 3, {"none", "cannot be read"}},
      {anew + " --set upstream.run=@/narrow.safetensors", 2, {"model.z_dim", "expected 5", "found 8"}},
      {anew + " --set upstream.run=@/dcgan.safetensors",
       3,
       {"upstream.run", "SimCLR", "backbone.conv1.weight"}},
      {anew + " --set upstream.run=@/simclr --set upstream.hash=12345678", 2, {"hash 12345678", "found"}},
      {anew + " --set upstream.run=@/simclr --set data.augment=simclr", 2, {"data.augment", "none"}},
      {"train simclr-cifar10 --out @/new --set data.augment=none", 2, {"data.augment", "simclr"}},
      {"train simclr-cifar10 --out @/new --set probe.every=1 --set probe.train=41" +
           sets.substr(0, sets.rfind(" --set")) + steps,
       2,
       {"probe", "41", "40"}},
      {"train dcgan-cifar10 --out @/without" + sets.substr(0, sets.rfind(" --set")) +
           " --set probe.every=1 --set probe.train=20 --set probe.test=15" + steps,
       2,
       {"probe.every", "without an encoder"}},
      {"sample @/simclr", 2, {"expected a model with a generator", "simclr"}},
      {"reconstruct @/simclr", 2, {"expected a model with an encoder and a decoder", "simclr"}},
  };
  for (const BadInput& row : rows) check(folder, row);
}

}  // namespace dae
