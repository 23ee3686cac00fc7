// Matmul and convolution against plain loops, and with equal bits for every number of threads.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/conv/conv.h"
#include "kernels/cpu/parallel.h"
#include "kernels/matmul/gemm.h"
#include "kernels/matmul/matmul.h"

namespace dae {

namespace {

template <class T>
constexpr double kLimit = sizeof(T) == 8 ? 1e-12 : 1e-5;

template <class T>
std::vector<T> random(int64_t n, unsigned seed) {
  std::mt19937 bits(seed);
  std::normal_distribution<double> normal;
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(normal(bits));
  return x;
}

template <class T>
std::vector<T> poisoned(int64_t n) {
  return std::vector<T>(n, std::numeric_limits<T>::quiet_NaN());
}

template <class T>
double relative_error(const std::vector<T>& found, const std::vector<T>& expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    difference += std::pow(double(found[i]) - double(expected[i]), 2);
    norm += std::pow(double(expected[i]), 2);
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

// Runs f(out) on 1, 2 and 3 threads. The bits must be equal, and near the result of `oracle`.
template <class T, class F, class G>
void check(int64_t size, F&& f, G&& oracle) {
  std::vector<T> expected = poisoned<T>(size), first;
  oracle(expected.data());
  const int threads = thread_count();
  for (int n = 1; n <= 3; ++n) {
    set_thread_count(n);
    std::vector<T> found = poisoned<T>(size);
    f(found.data());
    if (n == 1) {
      CHECK(relative_error(found, expected) < kLimit<T>);
      first = found;
    }
    CHECK((size == 0 || std::memcmp(first.data(), found.data(), size * sizeof(T)) == 0));
  }
  set_thread_count(threads);
}

const ConvShape kShapes[] = {
    // n, h, w, ci, co, kh, kw, stride, pads: top, left, bottom, right
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},      {3, 7, 5, 11, 13, 1, 1, 1, 0, 0, 0, 0},
    {2, 6, 5, 3, 7, 2, 2, 1, 0, 0, 0, 0},      {5, 2, 2, 37, 29, 4, 4, 2, 1, 1, 1, 1},
    {64, 16, 16, 3, 20, 4, 4, 2, 1, 1, 1, 1},  {2, 32, 32, 3, 64, 5, 5, 2, 2, 2, 2, 2},
    {3, 4, 4, 67, 131, 5, 5, 2, 2, 2, 2, 2},   {2, 13, 11, 17, 19, 3, 3, 1, 1, 1, 1, 1},
    {2, 12, 10, 9, 8, 3, 3, 2, 0, 0, 1, 1},    {2, 16, 12, 3, 31, 4, 4, 4, 0, 0, 0, 0},
    {2, 9, 17, 5, 23, 1, 7, 1, 0, 3, 0, 3},    {2, 17, 9, 23, 5, 7, 1, 1, 3, 0, 3, 0},
    {3, 11, 13, 4, 6, 3, 3, 3, 1, 1, 1, 1},    {2, 10, 11, 3, 4, 2, 2, 3, 0, 0, 0, 0},
    {1, 5, 5, 300, 2, 3, 3, 1, 1, 1, 1, 1},    {2, 3, 3, 2, 300, 1, 1, 2, 0, 0, 0, 0},
    {7, 8, 8, 1, 1, 4, 4, 1, 2, 1, 1, 2},      {0, 4, 4, 9, 9, 3, 3, 1, 1, 1, 1, 1},
    {70, 4, 4, 24, 530, 4, 4, 2, 1, 1, 1, 1},  {3, 16, 17, 40, 3, 3, 3, 1, 1, 1, 1, 1},
    {5, 19, 17, 33, 37, 3, 3, 1, 1, 1, 1, 1},  {9, 15, 16, 34, 129, 5, 5, 2, 2, 2, 2, 2},
    {2, 21, 20, 270, 35, 3, 2, 1, 0, 1, 2, 0}, {40, 9, 9, 32, 48, 4, 4, 2, 1, 2, 1, 0},
};

std::string name(const ConvShape& s) {
  std::string text = "n h w ci co kh kw stride pads:";
  for (int64_t v :
       {s.n, s.h, s.w, s.ci, s.co, s.kh, s.kw, s.stride, s.pad_top, s.pad_left, s.pad_bottom, s.pad_right})
    text += ' ', text += std::to_string(v);
  return text;
}

}  // namespace

TEST_CASE_TEMPLATE("convolution agrees with its formula", T, float, double) {
  for (const ConvShape& s : kShapes) {
    CAPTURE(name(s));
    const int64_t nx = s.n * s.h * s.w * s.ci, ny = s.n * s.oh() * s.ow() * s.co,
                  nw = s.co * s.kh * s.kw * s.ci;
    const auto x = random<T>(nx, 1), dy = random<T>(ny, 2), weight = random<T>(nw, 3),
               bias = random<T>(s.co, 4);
    using Forward = void (*)(Cpu, T*, const T*, const T*, const T*, ConvShape);
    using Backward = void (*)(Cpu, T*, const T*, const T*, ConvShape);
    const auto check_variant = [&](Forward forward, Backward backward_input, Backward backward_weight) {
      for (const T* b : {bias.data(), static_cast<const T*>(nullptr)})
        check<T>(
            ny, [&](T* y) { forward(Cpu{}, y, x.data(), weight.data(), b, s); },
            [&](T* y) { conv_forward_naive(Cpu{}, y, x.data(), weight.data(), b, s); });
      check<T>(
          nx, [&](T* dx) { backward_input(Cpu{}, dx, dy.data(), weight.data(), s); },
          [&](T* dx) { conv_backward_input_naive(Cpu{}, dx, dy.data(), weight.data(), s); });
      check<T>(
          nw, [&](T* dw) { backward_weight(Cpu{}, dw, dy.data(), x.data(), s); },
          [&](T* dw) { conv_backward_weight_naive(Cpu{}, dw, dy.data(), x.data(), s); });
    };
    check_variant(conv_forward<T>, conv_backward_input<T>, conv_backward_weight<T>);
    check_variant(conv_forward_implicit<T>, conv_backward_input_implicit<T>,
                  conv_backward_weight_implicit<T>);
    if (conv_fits_winograd(s))
      check_variant(conv_forward_winograd<T>, conv_backward_input_winograd<T>,
                    conv_backward_weight_winograd<T>);
  }
}

TEST_CASE("Winograd's way pays where many pixels share the weights") {
  CHECK(conv_pays_winograd({64, 16, 16, 128, 128, 3, 3, 1, 1, 1, 1, 1}));
  CHECK(conv_pays_winograd({64, 16, 16, 64, 128, 5, 5, 2, 2, 2, 2, 2}));
  CHECK_FALSE(conv_pays_winograd({64, 4, 4, 512, 1024, 4, 4, 2, 1, 1, 1, 1}));  // the weights outweigh 2 x 2
  CHECK_FALSE(conv_pays_winograd({64, 32, 32, 3, 64, 3, 3, 1, 1, 1, 1, 1}));
  CHECK_FALSE(conv_pays_winograd({64, 16, 16, 64, 64, 1, 1, 1, 0, 0, 0, 0}));
  CHECK_FALSE(conv_fits_winograd({64, 16, 16, 64, 64, 1, 7, 1, 0, 3, 0, 3}));
  CHECK_FALSE(conv_fits_winograd({64, 16, 16, 64, 64, 1, 1, 2, 0, 0, 0, 0}));  // pixels that nothing sees
}

TEST_CASE_TEMPLATE("matmul agrees with its formula", T, float, double) {
  const int64_t sizes[][4] = {{1, 1, 1, 1},    {1, 7, 13, 5},     {1, 64, 1, 300},
                              {1, 1, 64, 300}, {2, 31, 97, 17},   {1, 257, 129, 65},
                              {5, 3, 2, 1},    {1, 40, 2100, 30}, {1, 33, 70, 1031}};
  for (const auto& size : sizes)
    for (int transposed = 0; transposed < 4; ++transposed) {
      const int64_t batch = size[0], m = size[1], n = size[2], k = size[3];
      const bool ta = transposed & 1, tb = transposed & 2;
      CAPTURE(m);
      CAPTURE(n);
      CAPTURE(k);
      CAPTURE(transposed);
      const auto a = random<T>(batch * m * k, 1), b = random<T>(batch * k * n, 2);
      const auto y0 = random<T>(batch * m * n, 3);
      auto oracle = [&](T* y, double beta) {
        for (int64_t q = 0; q < batch; ++q)
          for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) {
              double sum = beta == 0 ? 0 : beta * y0[(q * m + i) * n + j];
              for (int64_t p = 0; p < k; ++p)
                sum += double(a[q * m * k + (ta ? p * m + i : i * k + p)]) *
                       double(b[q * k * n + (tb ? j * k + p : p * n + j)]);
              y[(q * m + i) * n + j] = static_cast<T>(sum);
            }
      };
      check<T>(
          batch * m * n, [&](T* y) { batched_matmul(Cpu{}, y, a.data(), b.data(), batch, m, n, k, ta, tb); },
          [&](T* y) { oracle(y, 0); });
      if (batch > 1) continue;
      for (double beta : {0.0, 1.0, 0.5}) {
        auto start = [&](T* y) {
          if (beta != 0) std::copy(y0.begin(), y0.end(), y);
        };
        auto expected = [&](T* y) { oracle(y, beta); };
        check<T>(
            m * n,
            [&](T* y) {
              start(y);
              matmul(Cpu{}, y, a.data(), b.data(), m, n, k, ta, tb, beta);
            },
            expected);
        check<T>(
            m * n,
            [&](T* y) {
              start(y);
              gemm_tiled(y, n, a.data(), ta ? m : k, b.data(), tb ? k : n, m, n, k, ta, tb, beta);
            },
            expected);
      }
    }
}

TEST_CASE("a product over nothing is zero") {
  std::vector<double> y = poisoned<double>(6);
  matmul<double>(Cpu{}, y.data(), nullptr, nullptr, 2, 3, 0, false, false);
  CHECK(y == std::vector<double>(6, 0));
}

}  // namespace dae
