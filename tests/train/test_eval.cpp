// The metrics against recorded results of public implementations (tests/golden/make_eval_golden.py), `dae
// eval` as a user runs it, and published figures where the shared data is present.

#include <nlohmann/json.hpp>

#include "data/files/npz.h"
#include "data/sets/image_set.h"
#include "kernels/cpu/parallel.h"
#include "tests/support/golden.h"
#include "tests/support/program.h"
#include "train/evaluation/features.h"
#include "train/evaluation/frechet.h"
#include "train/evaluation/paired.h"
#include "train/evaluation/scores.h"
#include "train/evaluation/statistics_file.h"
#include "train/run/run_images.h"

namespace dae {

namespace {

// In f32 through 48 layers, whose products are added in another order: 1e-7 a layer.
constexpr double kNetworkLimit = 2e-5;
// In f64, or f32 features in f64 arithmetic.
constexpr double kScoreLimit = 1e-9;

const Golden& golden() {
  static const Golden file("eval.safetensors");
  return file;
}

Image image(const std::string& name, int64_t height, int64_t width) {
  Image out{height, width, {}};
  for (const double u : formula_pattern(name, height * width * 3))
    out.bytes.push_back(uint8_t(std::floor((u + 1) * 128)));
  return out;
}

Tensor rows(const std::string& name, int64_t count, int64_t width, double factor = 1) {
  std::vector<double> u = formula_pattern(name, count * width);
  for (double& v : u) v *= factor;
  return Tensor::of({count, width}, u);
}

// Fills a network with the script's weights: the formula, times 2.5 for convolutions.
void fill_network(const std::vector<Param*>& state) {
  for (Param* p : state) {
    if (p->counter) continue;
    Tensor w = formula_values(p->name, p->file_shape());
    if (w.rank() == 4) w = scale(w, 2.5);
    p->from_file(p->name.starts_with("lin") ? abs(w) : w);
  }
}

void save_state(const std::string& path, const std::vector<Param*>& state, const std::string& up_to) {
  std::vector<Tensor> values;
  std::vector<TensorEntry> entries;
  for (Param* p : state) {
    if (p->counter) continue;
    values.push_back(p->to_file());
    const Tensor& t = values.back();
    entries.push_back({p->name, "F32", {t.shape().begin(), t.shape().end()}, t.raw(), size_t(t.bytes())});
    if (p->name == up_to) break;
  }
  save_safetensors(path, entries, {});
}

Inception& inception() {
  static Rng init(1);
  static Inception net({Dtype::f32, &init});
  static const bool filled = [] {
    net.name_params("");
    fill_network(net.state());
    net.freeze(true);
    return true;
  }();
  (void)filled;
  return net;
}

nlohmann::json json_of(const Folder& folder, const std::string& arguments) {
  return nlohmann::json::parse(output(folder, "-q --json " + arguments));
}

void save_images(const std::string& path, const std::string& name, int64_t count, int64_t side,
                 int channels = 3) {
  std::vector<uint8_t> bytes;
  for (const double u : formula_pattern(name, count * side * side * channels))
    bytes.push_back(uint8_t(std::floor((u + 1) * 128)));
  save_npz(path, {{"arr_0", "U8", {count, side, side, channels}, bytes.data(), bytes.size()}});
}

const std::string kShared = DAE_SOURCE "/../shared/data/";
bool shared_data() {
  if (std::filesystem::exists(kShared + "lpips")) return true;
  MESSAGE("skipped: ../shared/data is not here");
  return false;
}

}  // namespace

TEST_CASE("both ways to resize give PyTorch's and torch-fidelity's pixels") {
  for (const auto& [name, h, w] : {std::tuple{"small", 7, 11}, {"large", 29, 17}})
    for (const std::string protocol : {"pytorch-fid", "torch-fidelity"}) {
      Tensor x({1, 13, 13, 3});
      prepare(protocol_named(protocol), image(name, h, w), 13, x.data<float>());
      INFO(name, " ", protocol);
      CHECK(relative_error(x, from_torch(golden()["prepare." + protocol + "." + name])) < 1e-6);
    }
}

TEST_CASE("Inception: every layer under both preparations; folded batch norm changes nothing") {
  const NoGrad off;
  Inception& net = inception();
  CHECK(net.parameter_count() == 23850960);
  const auto features = [&](const std::string& protocol) {
    Tensor x({1, 299, 299, 3});
    prepare(protocol_named(protocol), image("inception", 37, 53), 299, x.data<float>());
    return net(x, InceptionLayer::logits);
  };
  const auto plain = features("torch-fidelity");
  net.fold();
  const auto folded = features("torch-fidelity"), half_pixel = features("pytorch-fid");
  const char* const names[kInceptionLayers] = {"64",   "192",  "spatial",         "768",
                                               "1280", "2048", "logits_unbiased", "logits"};
  for (size_t i = 0; i < size_t(kInceptionLayers); ++i) {
    INFO(names[i]);
    CHECK(relative_error(plain[i], golden()[std::string("inception.torch-fidelity.") + names[i]]) <
          kNetworkLimit);
    CHECK(relative_error(folded[i], plain[i]) < kNetworkLimit);
  }
  for (const auto& [layer, name] : {std::pair{InceptionLayer::pool64, "64"},
                                    {InceptionLayer::pool192, "192"},
                                    {InceptionLayer::pool768, "768"},
                                    {InceptionLayer::pool2048, "2048"}}) {
    INFO(name);
    CHECK(relative_error(half_pixel[size_t(layer)], golden()[std::string("inception.pytorch-fid.") + name]) <
          kNetworkLimit);
  }
}

TEST_CASE("LPIPS with its three trunks: distance and gradient in f64") {
  const auto pixels = [](const std::string& name) {
    const Image a = image(name, 45, 39);
    std::vector<double> v;
    for (const uint8_t b : a.bytes) v.push_back(double(b) / 127.5 - 1);
    return Tensor::of({1, 45, 39, 3}, v, Dtype::f64);
  };
  for (const LpipsNet kind : {LpipsNet::vgg, LpipsNet::alex, LpipsNet::squeeze}) {
    INFO(name(kind));
    Rng init(1);
    Lpips net({Dtype::f64, &init}, kind);
    net.name_params("");
    fill_network(net.state());
    net.freeze(true);
    Param a;
    a.value = pixels("first");
    track(a.value);
    const Tensor d = net(a.value, pixels("second"));
    Param* const wrt[] = {&a};
    const std::string entry = std::string("lpips.") + name(kind);
    // The constants of the colour scaling are rounded once more than those of the package.
    CHECK(relative_error(d, golden()[entry]) < 1e-6);
    CHECK(relative_error(grad(sum(d), wrt)[0], from_torch(golden()[entry + ".gradient"])) < 1e-6);
  }
}

TEST_CASE("PSNR and SSIM as scikit-image; equal images") {
  const Image a = image("first", 45, 39), c = image("second", 45, 39);
  Image b = a;
  for (size_t i = 0; i < b.bytes.size(); ++i)
    b.bytes[i] = uint8_t(std::clamp(int(a.bytes[i]) + c.bytes[i] / 8 - 16, 0, 255));
  CHECK(psnr(a, b) == doctest::Approx(golden()["psnr"].item()).epsilon(kScoreLimit));
  CHECK(ssim(a, b) == doctest::Approx(golden()["ssim"].item()).epsilon(kScoreLimit));
  CHECK(std::isinf(psnr(a, a)));
  CHECK(ssim(a, a) == doctest::Approx(1));
}

TEST_CASE("Frechet distance: full rank, fewer images than features, itself, any number of threads") {
  const Tensor a = rows("samples", 50, 16), b = rows("reference", 45, 16, 1.1), few = rows("few", 9, 16);
  const Statistics sa = statistics_of(a), sb = statistics_of(b), sf = statistics_of(few);
  CHECK(frechet_distance(sa, sb) == doctest::Approx(golden()["frechet"].item()).epsilon(kScoreLimit));
  // Eigenvalues that are 0 up to a rounding error of 1e-16 have roots up to 1e-8.
  CHECK(frechet_distance(sf, sb) == doctest::Approx(golden()["frechet.singular"].item()).epsilon(1e-6));
  CHECK(std::abs(frechet_distance(sa, sa)) < 1e-9);
  const int before = thread_count();
  for (const int threads : {1, 2, 3}) {
    set_thread_count(threads);
    const Tensor wide = rows("wide", 150, 131);
    const Statistics s = statistics_of(wide), t = statistics_of(rows("other", 140, 131));
    static const double first = frechet_distance(s, t);
    CHECK(frechet_distance(s, t) == first);
  }
  set_thread_count(before);
}

TEST_CASE("NumPy's permutations, Inception Score, KID, precision and recall as torch-fidelity") {
  NumpyPermutations permutations(2020);
  std::vector<int64_t> found = permutations.next(10);
  for (const int64_t i : permutations.next(37)) found.push_back(i);
  for (size_t i = 0; i < found.size(); ++i) CHECK(double(found[i]) == golden()["permutations"].values()[i]);

  const Tensor logits = rows("logits", 63, 13, 4);
  for (const std::string protocol : {"torch-fidelity", "gan-metrics", "adm"}) {
    INFO(protocol);
    const MeanStd score = inception_score(logits, protocol_named(protocol));
    const std::vector<double> expected = golden()["is." + protocol].values();
    CHECK(score.mean == doctest::Approx(expected[0]).epsilon(kScoreLimit));
    CHECK(std::abs(score.std - expected[1]) < 1e-9);
  }
  CHECK_THROWS_AS(inception_score(logits, protocol_named("pytorch-fid")), Error);

  // The package multiplies the features in f32.
  const Tensor a = rows("samples", 50, 16), b = rows("reference", 45, 16, 1.1);
  const MeanStd kid = kernel_distance(a, b, 7, 20);
  CHECK(kid.mean == doctest::Approx(golden()["kid"].values()[0]).epsilon(1e-4));
  CHECK(kid.std == doctest::Approx(golden()["kid"].values()[1]).epsilon(1e-4));
  const PrecisionRecall pr = precision_recall(a, b);
  CHECK(pr.precision == doctest::Approx(golden()["precision-recall"].values()[0]));
  CHECK(pr.recall == doctest::Approx(golden()["precision-recall"].values()[1]));
  CHECK(pr.precision > 0);
  CHECK(pr.precision < 1);
}

TEST_CASE("dae eval: a file that ends early, saved statistics, errors in one line") {
  Folder folder;
  {
    Rng init(1);
    Inception net({Dtype::f32, &init});
    net.name_params("");
    fill_network(net.state());
    save_state(folder / "w.safetensors", net.state(), "Conv2d_2b_3x3.bn.running_var");
    save_state(folder / "cut.safetensors", net.state(), "Conv2d_2b_3x3.conv.weight");
  }
  save_images(folder / "a.npz", "a", 70, 8);
  save_images(folder / "b.npz", "b", 66, 9, 1);
  const std::string weights = " --weights @/w.safetensors --protocol pytorch-fid --layer 64";
  const auto direct = json_of(folder, "eval fid @/a.npz @/b.npz" + weights);
  CHECK(direct["metric"] == "FID-64");
  CHECK(direct["value"].get<double>() > 0);
  CHECK(direct["provenance"]["samples"]["count"] == 70);
  CHECK(direct["provenance"]["reference"]["count"] == 66);
  CHECK(direct["provenance"]["protocol"] == "pytorch-fid");
  CHECK(direct["provenance"]["weights"]["crc32"].get<std::string>().size() == 8);
  json_of(folder, "eval fid @/b.npz --save-stats @/stats.npz" + weights);
  const auto saved = json_of(folder, "--threads 1 eval fid @/a.npz @/stats.npz" + weights);
  CHECK(saved["value"] == direct["value"]);
  CHECK(saved["provenance"]["reference"]["count"] == 66);
  // The same numbers with the names of another tool, another protocol or other weights.
  const Npz stats(folder / "stats.npz");
  std::vector<TensorEntry> foreign;
  for (const TensorEntry& e : stats.entries())
    if (e.name != "provenance") foreign.push_back(e);
  save_npz(folder / "foreign.npz", foreign);
  const auto unknown = json_of(folder, "eval fid @/a.npz @/foreign.npz" + weights);
  CHECK(unknown["value"] == direct["value"]);
  CHECK(unknown["provenance"]["reference"]["count"].is_null());
  std::string said;
  CHECK(run(folder, "eval fid @/stats.npz @/foreign.npz --protocol pytorch-fid --layer 64", said) == 0);
  CHECK(said.find("foreign.npz: does not say its protocol, layer, weights and count") != std::string::npos);
  {
    const Statistics s = read_statistics(folder / "stats.npz", InceptionLayer::pool64)->statistics;
    const auto write = [&](const char* file, const char* protocol, const char* crc) {
      save_statistics(folder / file, &s, InceptionLayer::pool64, nullptr, protocol, crc);
    };
    write("adm.npz", "adm", "00000001"), write("other.npz", "pytorch-fid", "00000001");
    foreign.push_back({"provenance", "U8", {2}, "{}", 2});
    save_npz(folder / "broken.npz", foreign);
  }
  for (const BadInput& row : std::vector<BadInput>{
           {"eval fid @/a.npz @/b.npz --weights @/w.safetensors", 2, {"more than 2048 images"}},
           {"eval kid @/a.npz @/b.npz --subset-size 20 --weights @/w.safetensors", 2, {"layers 64;"}},
           {"eval fid @/a.npz @/b.npz --count 60" + weights, 2, {"more than 64", "60"}},
           {"eval fid @/a.npz @/b.npz --count 99" + weights, 2, {"--count", "70", "99"}},
           {"eval fid @/a.npz" + weights, 2, {"reference"}},
           {"eval fid @/a.npz @/b.npz", 2, {"--weights"}},
           {"eval fid @/a.npz @/b.npz --weights @/cut.safetensors --layer 64",
            3,
            {"Conv2d_2b_3x3.bn.weight"}},
           {"eval fid @/a.npz @/b.npz --weights @/a.npz --layer 64", 3, {"a.npz"}},
           {"eval is @/a.npz --weights @/w.safetensors --protocol pytorch-fid", 2, {"Inception Score"}},
           {"eval fid @/a.npz @/b.npz --layer 65", 2, {"--layer", "65"}},
           {"eval fid @/a.npz @/b.npz --protocol tf --layer 64", 2, {"--protocol", "gan-metrics"}},
           {"eval fid @/a.npz @/none --layer 64 --weights @/w.safetensors", 3, {"none"}},
           {"eval sfid @/a.npz @/stats.npz --weights @/w.safetensors", 3, {"mu_s"}},
           {"eval fid @/a.npz @/adm.npz" + weights, 2, {"adm.npz", "protocol pytorch-fid, found adm"}},
           {"eval fid @/stats.npz @/adm.npz --layer 64 --protocol adm", 2, {"stats.npz", "protocol adm"}},
           {"eval fid @/a.npz @/other.npz" + weights, 2, {"other.npz", "w.safetensors", "found 00000001"}},
           {"eval fid @/stats.npz @/other.npz --layer 64 --protocol pytorch-fid", 2, {"00000001"}},
           {"eval fid @/a.npz @/broken.npz" + weights, 3, {"provenance"}},
           {"eval psnr @/a.npz @/b.npz", 3, {"70", "66"}},
           {"eval psnr @/a.npz @/b.npz --count 3", 3, {"8x8", "9x9", "--resize"}},
           {"eval ssim @/a.npz @/a.npz", 3, {"11x11"}},
           {"eval lpips @/a.npz @/a.npz --weights @/w.safetensors", 3, {"LPIPS"}},
       })
    check(folder, row);
  CHECK(json_of(folder, "eval psnr @/a.npz @/b.npz --count 3 --resize")["values"].size() == 3);
}

TEST_CASE("dae eval: pairs in folders by their names") {
  Folder folder;
  for (const char* side : {"A", "B"}) std::filesystem::create_directories(folder / side);
  for (const std::string name : {"x", "y"}) {
    const Image a = image(name, 20, 30), b = image(name + "'", 20, 30);
    save_png(folder / "A" + "/" + name + ".png", a.bytes.data(), 20, 30, 3);
    save_png(folder / "B" + "/" + name + ".png", b.bytes.data(), 20, 30, 3);
  }
  const auto out = json_of(folder, "eval ssim @/A @/B");
  CHECK(out["metric"] == "SSIM");
  CHECK(out["values"][0].get<double>() == doctest::Approx(ssim(image("x", 20, 30), image("x'", 20, 30))));
  CHECK(out["value"].get<double>() ==
        doctest::Approx((out["values"][0].get<double>() + out["values"][1].get<double>()) / 2));
  std::filesystem::rename(folder / "B/y.png", folder / "B/z.png");
  check(folder, {"eval ssim @/A @/B", 3, {"y.png", "z.png"}});
}

TEST_CASE("dae eval: samples of a run, and its reconstructions beside its data") {
  Folder folder;
  output(folder,
         "-q train vaegan-cifar10 --set data.kind=procedural --set data.count=8 --set train.batch=4 "
         "--set model.width=0.05 --set train.steps=1 --out @/run");
  output(folder, "-q sample @/run --count 105 --out @/samples.npz");
  const auto drawn = samples_of(load_trained(folder / "run", Device::cpu, {}), 105)->read(0, 105),
             saved = open_images(folder / "samples.npz")->read(0, 105);
  for (size_t i = 0; i < 105; ++i) CHECK(drawn[i].bytes == saved[i].bytes);
  output(folder, "-q reconstruct @/run --count 6 --out @/y.npz");
  const auto paired = json_of(folder, "eval psnr @/run --reconstructions --count 6");
  CHECK(paired["values"].size() == 6);
  CHECK(paired["provenance"]["samples"]["step"] == 1);
  CHECK(paired["provenance"]["samples"]["seed"] == 0);
  CHECK(paired["provenance"]["jpeg_decoder"] == jpeg_decoder());
  CHECK(json_of(folder, "eval psnr @/run @/y.npz --reconstructions --count 6")["value"].is_null());
  // Samples have no partner images, and each image counts once.
  check(folder, {"eval psnr @/run @/samples.npz", 2, {"no partner", "--reconstructions"}});
  check(folder, {"eval ssim @/samples.npz @/run --count 3", 2, {"no partner", "--reconstructions"}});
  check(folder, {"eval psnr @/run --reconstructions --count 9", 2, {"--count", "8 examples", "9"}});
  save_npz(folder / "none.npz", {{"arr_0", "U8", {0, 8, 8, 3}, nullptr, 0}});
  check(folder, {"eval psnr @/none.npz @/none.npz", 3, {"none.npz", "expected images, found none"}});
  check(folder, {"eval fid @/run @/none.npz --count 9 --weights w", 3, {"expected images, found none"}});
}

TEST_CASE("published figures, where the weights are at hand") {
  if (!shared_data()) return;
  // TorchMetrics' example of LPIPS has uniform images of torch.manual_seed(123) and the result 0.1008. The
  // images here follow the formula; their distance is that of the lpips package with the same weights.
  const LpipsNetwork net = load_lpips(kShared + "lpips/lpips-squeeze-v0.1.safetensors", Device::cpu);
  CHECK(net.net == LpipsNet::squeeze);
  CHECK(lpips(net, {image("first", 100, 100)}, {image("second", 100, 100)})[0] ==
        doctest::Approx(golden()["lpips.published"].item()).epsilon(1e-4));
}

}  // namespace dae
