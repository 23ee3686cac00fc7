// `dae inspect lipschitz` and `dae inspect latent`, on maps and clouds of known answers, and on runs.
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "data/files/npz.h"
#include "engine/ops.h"
#include "tests/support/program.h"
#include "train/evaluation/frechet.h"
#include "train/evaluation/latent.h"
#include "train/evaluation/lipschitz.h"

namespace dae {

namespace {

Tensor drawn(const Shape& shape, uint32_t op) { return normal(shape, Key{11, 0, op}, Dtype::f64); }

// Returns an n x n matrix with orthonormal rows, by Gram-Schmidt from random rows.
Tensor isometry(int64_t n, uint32_t op) {
  std::vector<double> q = drawn({n, n}, op).values();
  for (int64_t i = 0; i < n; ++i) {
    double* row = &q[size_t(i * n)];
    for (int64_t j = 0; j < i; ++j) {
      double dot = 0;
      for (int64_t k = 0; k < n; ++k) dot += row[k] * q[size_t(j * n + k)];
      for (int64_t k = 0; k < n; ++k) row[k] -= dot * q[size_t(j * n + k)];
    }
    double length = 0;
    for (int64_t k = 0; k < n; ++k) length += row[k] * row[k];
    for (int64_t k = 0; k < n; ++k) row[k] /= std::sqrt(length);
  }
  return Tensor::of({n, n}, q, Dtype::f64);
}

const Metric kL2{"L2", l2_distances, l2_distances}, kRms{"RMS", rms_distances, rms_distances};

std::vector<Lipschitz> measure(const Tensor& f, const Tensor& g, const std::vector<Metric>& metrics) {
  return measure_lipschitz(
      130,
      [&](int64_t begin, int64_t count) {
        return std::pair(drawn({count, f.dim(1)}, uint32_t(2 * begin + 100)),
                         drawn({count, f.dim(1)}, uint32_t(2 * begin + 101)));
      },
      [&](const Tensor& x) { return linear(x, f); }, [&](const Tensor& z) { return linear(z, g); }, metrics);
}

}  // namespace

// The only error is rounding in f64: 1e-12 is a few thousand units in the last place.
TEST_CASE("a scaled isometry has exactly its scale") {
  const Tensor f = scale(isometry(7, 1), 1.75), g = scale(isometry(7, 2), 0.4);
  const std::vector<Lipschitz> found = measure(f, g, {kL2, kRms});
  for (const Lipschitz& l : found) {
    CAPTURE(l.metric);
    for (const double v : {l.encoder.mean, l.encoder.median, l.encoder.p95})
      CHECK(v == doctest::Approx(1.75).epsilon(1e-12));
    for (const double v : {l.decoder.mean, l.decoder.median, l.decoder.p95})
      CHECK(v == doctest::Approx(0.4).epsilon(1e-12));
    CHECK(l.encoder.pairs == 130);
  }
}

TEST_CASE("a linear map lies between its smallest and its largest singular value") {
  for (const uint32_t op : {3u, 5u, 7u}) {
    const int64_t n = int64_t(op);
    const Tensor f = drawn({n, n}, op), g = drawn({n + 2, n}, op + 1);
    const Lipschitz l = measure(f, g, {kL2})[0];
    for (const auto& [map, r] : {std::pair(f, l.encoder), std::pair(g, l.decoder)}) {
      const std::vector<double> squares = symmetric_eigenvalues(matmul(map, map, true, false).values());
      CHECK(r.mean > std::sqrt(squares.front()));
      CHECK(r.mean < std::sqrt(squares.back()));
      CHECK(r.median <= r.p95);
      CHECK(r.p95 < std::sqrt(squares.back()));
    }
  }
}

TEST_CASE("per value, sizes of image and latent do not matter") {
  // An isometry into twice as many dimensions: 1 by L2, sqrt(1/2) by root mean squares.
  const Tensor f = slice(isometry(8, 9), 1, 0, 4), g = isometry(8, 10);
  const std::vector<Lipschitz> found = measure(f, g, {kL2, kRms});
  CHECK(found[0].encoder.mean == doctest::Approx(1).epsilon(1e-12));
  CHECK(found[1].encoder.mean == doctest::Approx(std::sqrt(0.5)).epsilon(1e-12));
}

TEST_CASE("examples that are all equal are an error") {
  const Tensor x = Tensor::full({3, 2}, 1, Dtype::f64);
  const auto same = [&](int64_t, int64_t) { return std::pair(x, x); };
  const auto identity = [](const Tensor& t) { return t; };
  CHECK_THROWS_AS(measure_lipschitz(3, same, identity, identity, {kL2}), Error);
}

TEST_CASE("effective rank: of k equal directions k, of one 1") {
  CHECK(effective_rank({2, 2, 2, 0, 0}) == doctest::Approx(3).epsilon(1e-12));
  CHECK(effective_rank({5, 0, 0}) == doctest::Approx(1).epsilon(1e-12));
  CHECK(effective_rank({0, 0}) == 0);
  CHECK(effective_rank({3, 1}) == doctest::Approx(4 / std::pow(3.0, 0.75)).epsilon(1e-12));
}

// Two independent columns with deviations 3 and 1. Deviations estimated from 4000 draws are within 5 %: three
// standard errors are 3 sqrt(2 / 4000) = 6.7 % for a variance, and half of that for its root.
TEST_CASE("a cloud of known shape") {
  constexpr int64_t n = 4000;
  std::vector<double> v = drawn({n, 2}, 20).values();
  for (int64_t i = 0; i < n; ++i) v[size_t(2 * i)] = 3 * v[size_t(2 * i)] + 4, v[size_t(2 * i + 1)] -= 1;
  const LatentReport r = examine_latents("cloud", Tensor::of({n, 2}, v), {}, 20);
  CHECK(r.mean[0] == doctest::Approx(4).epsilon(0.05));
  CHECK(r.mean[1] == doctest::Approx(-1).epsilon(0.08));
  CHECK(r.deviation[0] == doctest::Approx(3).epsilon(0.05));
  CHECK(r.deviation[1] == doctest::Approx(1).epsilon(0.05));
  CHECK(r.spectrum[0] == doctest::Approx(9).epsilon(0.08));
  CHECK(r.spectrum[1] == doctest::Approx(1).epsilon(0.08));
  CHECK(r.effective_rank ==
        doctest::Approx(std::exp(-0.9 * std::log(0.9) - 0.1 * std::log(0.1))).epsilon(0.03));
  CHECK_FALSE(r.knn);
  // Times the reported scale, all values have variance 1.
  double mean = 0, square = 0;
  for (const double x : v) mean += x * r.scale / double(2 * n);
  for (const double x : v) square += (x * r.scale - mean) * (x * r.scale - mean) / double(2 * n);
  CHECK(square == doctest::Approx(1).epsilon(1e-6));
}

TEST_CASE("neighbours find clusters, and nothing in labels by chance") {
  constexpr int64_t n = 600;
  std::vector<double> v = drawn({n, 3}, 30).values();
  std::vector<int64_t> labels, chance;
  for (int64_t i = 0; i < n; ++i) {
    labels.push_back(i * 7 % 3), chance.push_back(int64_t(random_bits(Key{4, 0, 0}, uint64_t(i)) % 3));
    v[size_t(3 * i + labels.back())] += 25;
  }
  const Tensor z = Tensor::of({n, 3}, v);
  CHECK(*examine_latents("clusters", z, labels, 20).knn == 1);
  CHECK(*examine_latents("chance", z, chance, 20).knn < 0.5);  // chance is a third; six deviations
}

// Clusters on one ray, 10 deviations apart. A vote by the cosine of latents that are not centred is right for
// only 59.6 % of them.
TEST_CASE("neighbours are near, wherever the latents' mean lies") {
  constexpr int64_t n = 600;
  std::vector<double> v = drawn({n, 4}, 31).values();
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < n; ++i) {
    labels.push_back(i % 3);
    for (int64_t c = 0; c < 4; ++c) v[size_t(4 * i + c)] += 5 * double(labels.back()) + 1000;
  }
  const LatentReport r = examine_latents("ray", Tensor::of({n, 4}, v), labels, 5);
  CHECK(*r.knn == 1);
  CHECK(r.neighbours == 5);
}

TEST_CASE("the vote of k neighbours against all distances sorted, f64") {
  constexpr int64_t voters = 61, count = 37, d = 3, classes = 4;
  const Tensor bank = drawn({voters, d}, 32).to(Dtype::f32), queries = drawn({count, d}, 33).to(Dtype::f32);
  std::vector<int64_t> theirs, wanted;
  for (int64_t i = 0; i < voters; ++i)
    theirs.push_back(int64_t(random_bits(Key{5, 0, 0}, uint64_t(i)) % classes));
  for (int64_t i = 0; i < count; ++i)
    wanted.push_back(int64_t(random_bits(Key{6, 0, 0}, uint64_t(i)) % classes));
  const std::vector<double> a = bank.values(), b = queries.values();
  for (const int64_t k : {int64_t{1}, int64_t{5}, int64_t{20}, voters}) {
    int64_t right = 0;
    for (int64_t q = 0; q < count; ++q) {
      std::multimap<double, int64_t> near;
      for (int64_t i = 0; i < voters; ++i)
        near.insert(
            {std::hypot(a[size_t(i * d)] - b[size_t(q * d)], a[size_t(i * d + 1)] - b[size_t(q * d + 1)],
                        a[size_t(i * d + 2)] - b[size_t(q * d + 2)]),
             theirs[size_t(i)]});
      std::map<int64_t, int64_t> votes;
      auto at = near.begin();
      for (int64_t i = 0; i < k; ++i) ++votes[(at++)->second];
      int64_t best = 0;
      for (const auto& [label, of] : votes)
        if (of > votes[best]) best = label;
      right += best == wanted[size_t(q)];
    }
    CHECK(euclidean_accuracy(bank, theirs, queries, wanted, k) == double(right) / double(count));
  }
}

TEST_CASE("the verbs on a run and on files, and a run that is called like a subcommand") {
  const Folder folder;
  std::string error;
  const std::string train =
      "train vaegan-cifar10 -q --threads 1 --set data.kind=procedural --set data.count=40 --set "
      "train.batch=8 "
      "--set model.width=0.03125 --set model.z_dim=8 --set train.steps=2 --out @/latent";
  REQUIRE(run(folder, train, error) == 0);
  const auto lipschitz =
      nlohmann::json::parse(output(folder, "inspect lipschitz @/latent --pairs 60 --json -q"));
  const auto again =
      nlohmann::json::parse(output(folder, "--threads 1 inspect lipschitz @/latent --pairs 60 --json -q"));
  CHECK(lipschitz == again);
  for (const char* part : {"encoder", "decoder"}) {
    CHECK(lipschitz["metrics"][0][part]["mean"] > 0);
    CHECK(lipschitz["metrics"][0][part]["pairs"] == 60);
  }
  CHECK(nlohmann::json::parse(output(folder, "--seed 1 inspect lipschitz @/latent --pairs 60 --json -q")) !=
        lipschitz);

  std::vector<float> values;
  for (const double v : drawn({10, 4}, 40).values()) values.push_back(float(v));
  save_npz(folder / "features.npz", {{"latents", "F32", {10, 4}, values.data(), values.size() * 4}});
  const auto latent = nlohmann::json::parse(
      output(folder, "inspect latent @/latent @/features.npz --count 30 --json --out @/page.html"));
  CHECK(latent["latents"][0]["count"] == 30);
  CHECK(latent["latents"][0]["mean"].size() == 8);
  const double right =
      15 * latent["latents"][0]["knn"].get<double>();  // a whole number of 15 queries; not trained yet
  CHECK(right == doctest::Approx(std::round(right)));
  CHECK(latent["latents"][0]["neighbours"] == 5);
  CHECK(latent["latents"][0]["distance"] == "euclidean");
  CHECK(
      output(folder, "inspect latent @/latent --count 30 --neighbours 7").find("7-NN accuracy, Euclidean") !=
      std::string::npos);
  CHECK(latent["latents"][1]["spectrum"].size() == 4);
  CHECK_FALSE(latent["latents"][1].contains("knn"));
  CHECK(read(folder / "page.html").find("<svg") != std::string::npos);
  // The run can be named without a path from its parent folder.
  CHECK(std::system(("cd '" + folder.path.string() +
                     "' && '" DAE_PROGRAM "' inspect latent latent >/dev/null &&"
                     " '" DAE_PROGRAM "' inspect lipschitz latent -q --pairs 3 >/dev/null")
                        .c_str()) == 0);

  check(folder, {"inspect latent @/none", 3, {"none"}});
  check(folder, {"inspect latent @/features.npz --out @/x.png", 2, {"--out", ".html"}});
  check(folder, {"inspect lipschitz @/none", 3, {"none"}});
  check(folder, {"inspect lipschitz @/latent --pairs 0", 2, {"--pairs"}});
}

}  // namespace dae
