#include "train/paper/theory.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <numbers>
#include <numeric>
#include <set>

#include "data/sets/toy.h"
#include "engine/optimizer.h"
#include "models/toy_vae.h"

namespace dae {

extern "C" void dgesvd_(const char* jobu, const char* jobvt, const int* m, const int* n, double* a,
                        const int* lda, double* s, double* u, const int* ldu, double* vt, const int* ldvt,
                        double* work, const int* lwork, int* info);

namespace {

// ---- small matrices, row-major ----------------------------------------------------------------------

struct Matrix {
  Matrix(int rows, int cols) : rows(rows), cols(cols), v(size_t(rows) * cols) {}
  double& operator()(int i, int j) { return v[size_t(i) * cols + j]; }
  double operator()(int i, int j) const { return v[size_t(i) * cols + j]; }
  int rows, cols;
  std::vector<double> v;
};

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix y(a.rows, b.cols);
  for (int i = 0; i < a.rows; ++i)
    for (int k = 0; k < a.cols; ++k)
      for (int j = 0; j < b.cols; ++j) y(i, j) += a(i, k) * b(k, j);
  return y;
}

struct Svd {
  Matrix u;               // (rows, r)
  std::vector<double> s;  // (r), descending
  Matrix vt;              // (r, cols)
};

// Returns the thin decomposition, r = min(rows, cols). LAPACK is column-major: it is given the transpose, and
// its U is our V.
Svd svd(Matrix a) {
  const int m = a.cols, n = a.rows, r = std::min(m, n), lwork = 8 * (m + n) + 64;
  Svd out{Matrix(n, r), std::vector<double>(r), Matrix(r, m)};
  std::vector<double> work(lwork);
  int info = 0;
  dgesvd_("S", "S", &m, &n, a.v.data(), &m, out.s.data(), out.vt.v.data(), &m, out.u.v.data(), &r,
          work.data(), &lwork, &info);
  if (info) fail(Fault::internal, "dgesvd: expected info 0, found {}", info);
  return out;
}

// Returns the nearest matrix in the Frobenius norm whose spectral norm is at most `limit`.
Matrix clip_norm(const Matrix& a, double limit) {
  Svd d = svd(a);
  if (d.s[0] <= limit) return a;
  for (int i = 0; i < d.u.rows; ++i)
    for (int j = 0; j < d.u.cols; ++j) d.u(i, j) *= std::min(d.s[j], limit);
  return product(d.u, d.vt);
}

Matrix normals(int rows, int cols, uint64_t seed, uint32_t op) {
  Matrix y(rows, cols);
  float z[4];
  for (size_t i = 0; i < y.v.size(); ++i) {
    if (i % 4 == 0) normal4(random4({seed, 0, op}, i / 4), z);
    y.v[i] = z[i % 4];
  }
  return y;
}

Tensor to_tensor(const Matrix& m) { return Tensor::of({m.rows, m.cols}, m.v, Dtype::f64); }
Matrix to_matrix(const Tensor& t) {
  Matrix m(int(t.dim(0)), int(t.dim(1)));
  m.v = t.values();
  return m;
}

// ---- linear autoencoders ----------------------------------------------------------------------------

constexpr int kRows = 256, kDim = 8, kLatent = 3;

// Returns rows of data whose singular values are spread.
Matrix linear_data(uint64_t seed) {
  Matrix x = normals(kRows, kDim, seed, 1);
  const double scale[kDim] = {3, 2.4, 1.8, 1.2, 0.9, 0.6, 0.4, 0.2};
  for (int i = 0; i < kRows; ++i)
    for (int j = 0; j < kDim; ++j) x(i, j) *= scale[j];
  return product(x, svd(normals(kDim, kDim, seed, 2)).u);
}

// Returns the least error as a share of sum s_i^2, where the k components that are kept are scaled by m:
//   sum_{i<=k} (1-m)^2 s_i^2 + sum_{i>k} s_i^2
double least_error(const std::vector<double>& s, double m) {
  double error = 0, total = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    error += (i < kLatent ? (1 - m) * (1 - m) : 1) * s[i] * s[i];
    total += s[i] * s[i];
  }
  return error / total;
}

struct LinearAutoencoder : Module {
  explicit LinearAutoencoder(const Build& build)
      : Module(build),
        encoder(this, "encoder", kDim, kLatent, false),
        decoder(this, "decoder", kLatent, kDim, false) {}
  // Returns |X - X A^T B^T|^2 / N.
  Tensor loss(const Tensor& x) const { return double(kDim) * mse_loss(decoder(encoder(x)), x); }
  Linear encoder, decoder;
};

// Trains with |A| <= a and |B| <= b by proximal alternating descent (Bolte, Sabach, Teboulle 2014) and
// returns the loss. Each factor in turn takes a gradient step and is clipped. The step size is 1 over the
// Lipschitz constant 2 l1 |other|^2, where l1 is the largest eigenvalue of X^T X / N.
double train_bounded(const Matrix& data, double a, double b, uint64_t seed) {
  Rng init(seed);
  LinearAutoencoder model({Dtype::f64, &init});
  const Tensor x = to_tensor(data);
  const double top = svd(data).s[0], l1 = top * top / kRows;
  const auto update = [&](Param& p, const Param& other, double limit) {
    Param* const wrt[] = {&p};
    const Tensor g = grad(model.loss(x), wrt)[0];
    const double norm = std::max(svd(to_matrix(other.value)).s[0], 1e-3);
    Matrix next = to_matrix(p.value);
    const std::vector<double> dp = g.values();
    for (size_t i = 0; i < dp.size(); ++i) next.v[i] -= dp[i] / (2 * l1 * norm * norm);
    p.value.copy_from(to_tensor(clip_norm(next, limit)));
    p.changed();
  };
  for (int step = 0; step < 3000; ++step) {
    update(model.encoder.weight, model.decoder.weight, a);
    update(model.decoder.weight, model.encoder.weight, b);
  }
  return model.loss(x).item();
}

double total_variance(const Matrix& x) {
  return std::inner_product(x.v.begin(), x.v.end(), x.v.begin(), 0.0) / kRows;
}

// ---- Gaussians --------------------------------------------------------------------------------------

double normal_pdf(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi); }
double normal_tail(double x) { return 0.5 * std::erfc(x / std::numbers::sqrt2); }
// Returns the x with P(X > x) = p, by bisection. It is the map from U(0, 1) to N(0, 1) at 1 - p.
double normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (normal_tail(middle) > p ? low : high) = middle;
  }
  return low;
}

// Returns the least-squares slope of log y against log x.
double log_slope(const std::vector<double>& x, const std::vector<double>& y) {
  double mx = 0, my = 0, xx = 0, xy = 0;
  const auto n = double(x.size());
  for (size_t i = 0; i < x.size(); ++i) mx += std::log(x[i]) / n, my += std::log(y[i]) / n;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (std::log(x[i]) - mx) * (std::log(x[i]) - mx);
    xy += (std::log(x[i]) - mx) * (std::log(y[i]) - my);
  }
  return xy / xx;
}

// Returns the least W2^2 over linear g with |g| <= c. x: variances of the data, descending. z: variances of
// the latent, in any order.
double least_w2(const std::vector<double>& x, std::vector<double> z, double c) {
  std::sort(z.begin(), z.end(), std::greater<>());
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double reach = i < z.size() ? std::min(std::sqrt(x[i]), c * std::sqrt(z[i])) : 0;
    sum += (std::sqrt(x[i]) - reach) * (std::sqrt(x[i]) - reach);
  }
  return sum;
}

// Returns the same by projected descent on
//   W2^2 = tr S + tr G M G^T - 2 |S^(1/2) G M^(1/2)|_*   (Gelbrich 1990),
// with S and M diagonal, from a random G. The step size needs no tuning: the first part is quadratic with
// constant 2 max M, and the tangent of the nuclear norm bounds the rest from above.
double descend_w2(const std::vector<double>& x, const std::vector<double>& z, double c, uint64_t seed) {
  const int rows = int(x.size()), cols = int(z.size());
  const double steepest = *std::max_element(z.begin(), z.end());
  Matrix g = clip_norm(normals(rows, cols, seed, 4), c);
  const auto weighted = [&] {
    Matrix w = g;
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < cols; ++j) w(i, j) *= std::sqrt(x[i] * z[j]);
    return svd(w);
  };
  for (int step = 0; step < 5000; ++step) {
    const Svd d = weighted();
    const Matrix turn = product(d.u, d.vt);
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < cols; ++j)
        g(i, j) -= (g(i, j) * z[j] - std::sqrt(x[i]) * turn(i, j) * std::sqrt(z[j])) / steepest;
    g = clip_norm(g, c);
  }
  const std::vector<double> s = weighted().s;
  double w2 = std::accumulate(x.begin(), x.end(), 0.0) - 2 * std::accumulate(s.begin(), s.end(), 0.0);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < cols; ++j) w2 += g(i, j) * g(i, j) * z[j];
  return w2;
}

}  // namespace

std::vector<Finding> check_linear_autoencoder(uint64_t seed) {
  const Matrix data = linear_data(seed);
  Rng init(seed);
  LinearAutoencoder model({Dtype::f64, &init});
  AdamW optimizer;
  optimizer.add_group({"model", model.params(), 2e-2});
  const Tensor x = to_tensor(data);
  const int steps = 3000;
  for (int step = 0; step < steps; ++step) {
    backward(model.loss(x), optimizer.trainable());
    optimizer.set_lr_factor(1 - double(step) / steps);
    optimizer.step();
  }
  const double found = model.loss(x).item() / total_variance(data);
  return {{"Lemma A.4: a linear autoencoder reaches the error of PCA",
           fmt::format("error, share of the variance, {}-D to {}-D; trained by Adam", kDim, kLatent),
           least_error(svd(data).s, 1), found, 1e-6}};
}

std::vector<Finding> check_bounded_autoencoder(uint64_t seed) {
  const std::string statement =
      "Theorem 4.1: |A| <= a, |B| <= b; components recovered if and only if a b >= 1";
  const Matrix data = linear_data(seed);
  const std::vector<double> s = svd(data).s;
  const double free = std::numeric_limits<double>::infinity();
  std::vector<Finding> findings;
  for (const auto& [a, b] :
       {std::pair{0.1, free}, {0.5, 1.0}, {0.25, 2.0}, {0.8, 1.0}, {0.5, 2.0}, {2.0, 0.5}, {2.0, 2.0}}) {
    const double m = std::min(1.0, a * b);
    const std::string what = b == free ? fmt::format("error, a = {}, decoder free: that of PCA", a)
                                       : fmt::format("error, a = {}, b = {}, a b = {}{}", a, b, a * b,
                                                     a * b < 1 ? "" : ": that of PCA");
    findings.push_back(
        {statement, what, least_error(s, m), train_bounded(data, a, b, seed) / total_variance(data), 1e-6});
  }
  return findings;
}

double clipped_quantile_tv(double c) {
  // With phi(t) = 1/c, g has the slope of the quantile function on [-t, t], and the slope c beyond, over a
  // latent mass of P(X > t) on each side. There g(Z) has the density 1/c > phi. It ends at t + c P(X > t);
  // the mass of N(0, 1) beyond that point is lost.
  const double height = c * normal_pdf(0);
  const double t = height > 1 ? std::sqrt(2 * std::log(height)) : 0;
  return 2 * normal_tail(t + c * normal_tail(t));
}

double clipped_quantile_tv_on_grid(double c) {
  // With Z = Phi(u), dg = min(c phi(u), 1) du and g(0) = 0, integrated by the midpoint rule. Where g(Z) has
  // mass, the difference of the two laws is |phi(g) dg - phi(u) du|. Beyond its end the difference is all of
  // N(0, 1).
  const double h = 1e-4, end = 9;
  double g = 0, sum = 0;
  for (double u = h / 2; u < end; u += h) {
    const double slope = std::min(c * normal_pdf(u), 1.0), middle = g + slope * h / 2;
    sum += std::abs(normal_pdf(middle) * slope - normal_pdf(u)) * h;
    g += slope * h;
  }
  return sum + normal_tail(g);  // half of the sum over both sides
}

std::vector<Finding> check_bounded_generator() {
  const std::string statement =
      "A.1: U(0,1) to N(0,1), slope at most c: a total variation of about 1/c is left";
  std::vector<Finding> findings;
  // Near the ends the slope 1/phi of the unbounded map exceeds any c. It is checked there by a finite
  // difference.
  for (const double p : {1e-3, 1e-6, 1e-9}) {
    const double h = 1e-3 * p, slope = (normal_quantile(p - h) - normal_quantile(p + h)) / (2 * h);
    const double expected = 1 / normal_pdf(normal_quantile(p));
    findings.push_back({statement, fmt::format("slope of the unbounded map {:g} from its end", p), expected,
                        slope, 1e-5 * expected});
  }
  std::vector<double> limits, near, far_limits, far;
  for (int power = 1; power <= 12; ++power) {
    limits.push_back(std::ldexp(1.0, power));
    near.push_back(clipped_quantile_tv_on_grid(limits.back()));
    findings.push_back({statement, fmt::format("total variation, c = {}; on a grid", limits.back()),
                        clipped_quantile_tv(limits.back()), near.back(), 1e-7});
    far_limits.push_back(std::ldexp(1.0, 60 + power));
    far.push_back(clipped_quantile_tv(far_limits.back()));
  }
  findings.push_back({statement, "fitted exponent of c, c = 2^1 .. 2^12", -1, log_slope(limits, near), 0.2});
  findings.push_back(
      {statement, "the same, c = 2^61 .. 2^72: the logarithms fade", -1, log_slope(far_limits, far), 0.02});
  return findings;
}

std::vector<Finding> check_gaussian_latent(uint64_t seed) {
  const std::string statement = "A.2: Gaussian x, linear |g| <= c of a Gaussian z: least W2^2";
  const std::vector<double> x = {4, 2.5, 1.5, 0.8, 0.4, 0.1};
  std::vector<Finding> findings;
  const std::pair<std::vector<double>, double> cases[] = {
      {{4, 2.5, 1.5}, 1}, {{1, 1, 1}, 1.4}, {{1, 1, 1}, 3}, {{0.5, 2, 1}, 1.2}, {{3, 0.2, 0.1}, 1}};
  for (const auto& [z, c] : cases)
    findings.push_back({statement, fmt::format("z = ({}, {}, {}), c = {}; by descent", z[0], z[1], z[2], c),
                        least_w2(x, z, c), descend_w2(x, z, c, seed), 1e-6});

  // The latent along the leading directions is the best of all latents with its total variance, and of all
  // projections on principal directions.
  const double best = least_w2(x, {x[0], x[1], x[2]}, 0.9), budget = x[0] + x[1] + x[2];
  double margin = std::numeric_limits<double>::infinity(), others = margin;
  for (uint64_t draw = 0; draw < 1000; ++draw) {
    const Bits4 bits = random4({seed, 0, 5}, draw);
    std::vector<double> z;
    for (int i = 0; i < 3; ++i) z.push_back(-std::log(double(unit_uniform(bits.v[i]))));
    const double sum = z[0] + z[1] + z[2];
    for (double& v : z) v *= budget / sum;
    margin = std::min(margin, least_w2(x, z, 0.9) - best);
  }
  for (int i = 0; i < 6; ++i)
    for (int j = i + 1; j < 6; ++j)
      for (int k = j + 1; k < 6; ++k)
        if (k > 2) others = std::min(others, least_w2(x, {x[i], x[j], x[k]}, 0.9) - best);
  findings.push_back(
      {statement, "excess over leading directions: 1000 latents of equal variance", 0, margin, 0, true});
  findings.push_back(
      {statement, "excess over leading directions: the 19 other projections", 0, others, 0, true});
  return findings;
}

int64_t single_linkage(const std::vector<float>& points, int64_t dim, std::vector<int32_t>& piece) {
  const int64_t n = int64_t(points.size()) / dim;
  struct Edge {
    double length = std::numeric_limits<double>::infinity();
    int64_t from = 0, to = 0;
  };
  // Prim's algorithm: each point outside the tree keeps its shortest edge into the tree.
  std::vector<Edge> reach(n), tree;
  std::vector<bool> inside(n);
  int64_t last = 0;
  for (int64_t added = 1; added < n; ++added) {
    inside[last] = true;
    int64_t next = -1;
    for (int64_t i = 0; i < n; ++i) {
      if (inside[i]) continue;
      double length = 0;
      for (int64_t d = 0; d < dim; ++d) {
        const double difference = double(points[i * dim + d]) - points[last * dim + d];
        length += difference * difference;
      }
      if (length < reach[i].length) reach[i] = {length, last, i};
      if (next < 0 || reach[i].length < reach[next].length) next = i;
    }
    tree.push_back(reach[next]);
    last = next;
  }
  std::stable_sort(tree.begin(), tree.end(),
                   [](const Edge& a, const Edge& b) { return a.length > b.length; });
  // Only the 32 longest edges are candidates, because the shortest edges may differ by large factors too.
  int64_t cuts = 0;
  double drop = 1;
  for (int64_t i = 0; i + 1 < std::min<int64_t>(33, int64_t(tree.size())); ++i)
    if (tree[i].length > drop * tree[i + 1].length) drop = tree[i].length / tree[i + 1].length, cuts = i + 1;

  std::vector<int64_t> root(n);
  std::iota(root.begin(), root.end(), 0);
  const auto find = [&](int64_t i) {
    while (root[i] != i) i = root[i] = root[root[i]];
    return i;
  };
  for (size_t e = size_t(cuts); e < tree.size(); ++e) root[find(tree[e].from)] = find(tree[e].to);
  std::vector<int32_t> name(n, -1);
  piece.resize(n);
  int32_t pieces = 0;
  for (int64_t i = 0; i < n; ++i) {
    int32_t& of_root = name[find(i)];
    if (of_root < 0) of_root = pieces++;
    piece[i] = of_root;
  }
  return pieces;
}

std::vector<Finding> check_clusters(uint64_t seed) {
  const std::string statement = "Proposition A.3: K separated clusters stay K clusters in the latent";
  std::vector<Finding> findings;
  for (const int64_t clusters : {3, 5, 8}) {
    const ToySpec spec{4e-4, clusters};
    const ToyData data = make_toy(spec, 1024, seed, 0);
    Tensor x({data.count(), data.dim});
    std::copy(data.x.begin(), data.x.end(), x.data<float>());
    Rng init(seed);
    toy::ToyVae model({Dtype::f32, &init}, data.dim, 2, 128, 128);
    AdamW optimizer;
    optimizer.add_group({"encoder", model.encoder.params()});
    optimizer.add_group({"decoder", model.decoder->params()});
    for (int step = 0; step < 600; ++step) {
      const int64_t begin = step % 8 * 128;
      const Tensor batch = slice(x, 0, begin, begin + 128);
      backward(mse_loss(model.decode(model.encode(batch).mu), batch), optimizer.trainable());
      optimizer.step();
    }
    NoGrad off;
    const Tensor mu = model.encode(x).mu;
    std::vector<int32_t> piece;
    const int64_t pieces = single_linkage({mu.data<float>(), mu.data<float>() + mu.size()}, 2, piece);
    std::set<std::pair<int32_t, int32_t>> pairs;
    for (int64_t i = 0; i < data.count(); ++i) pairs.insert({piece[i], data.label[i]});
    const auto k = double(clusters);
    findings.push_back(
        {statement, fmt::format("K = {}: supports of the trained latent", clusters), k, double(pieces), 0});
    findings.push_back({statement, fmt::format("K = {}: pairs of support and cluster", clusters), k,
                        double(pairs.size()), 0});
  }
  return findings;
}

std::vector<Finding> check_theory(uint64_t seed) {
  std::vector<Finding> all;
  for (const auto& part : {check_linear_autoencoder(seed), check_bounded_autoencoder(seed),
                           check_bounded_generator(), check_gaussian_latent(seed), check_clusters(seed)})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace dae
