// Every variant of matmul, linear and convolution on CUDA against sums in f64 of the same rounded inputs. It
// runs in four schedules on the emulated device or twice on a GPU, and the bits must be the same each time.
//
// Limits on the relative norm, fixed before any error was seen:
//   f32 result      1e-5: sums of up to some thousand products, whose roundings of 2^-24 add like a random
//                   walk
//   16-bit result   its own rounding: u = 2^-8 for bf16, 2^-11 for f16
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/activation/formulas.h"
#include "kernels/conv/variants.h"
#include "kernels/matmul/variants.h"
#include "tests/support/device_array.h"
#include "tests/support/orders.h"

namespace dae {

namespace {

template <class T>
constexpr double kLimit = std::is_same_v<T, float>  ? 1e-5
                          : std::is_same_v<T, bf16> ? 0x1p-8
                                                    : 0x1p-11;

// Runs f, which writes y, and compares. y begins as NaN, or as y.host if f reads it.
template <class Y, class F>
void check_variant(const std::string& variant, Array<Y>& y, bool reads_y, const std::vector<double>& expected,
                   F f) {
  CAPTURE(variant);
  std::vector<Y> first;
  const auto run = [&] {
    if (reads_y) y.upload();
    else y.poison();
    f();
    const std::vector<Y> found = y.download();
    if (!first.empty()) CHECK(std::memcmp(found.data(), first.data(), y.bytes()) == 0);
    first = found;
  };
  if constexpr (kCuda == CudaBuild::emulated) {
    // The threads of the naive variants do not cooperate, and the chosen variant ran in every order already.
    const bool naive = variant.ends_with("naive"), chosen = variant.ends_with("chosen");
    for (const Order& order : kOrders)
      if (&order == &kOrders[0] || (!naive && (!chosen || order.copies == emulate::Copies::early)))
        in_order(order, run);
  } else {
    run(), run();
  }
  double difference = 0, norm = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    difference += std::pow(double(first[i]) - expected[i], 2);
    norm += expected[i] * expected[i];
  }
  CHECK(std::sqrt(difference) <= kLimit<Y> * std::sqrt(norm));
}

template <class Y, class T>
void check_matmul(const MatmulShape& s, double beta) {
  const auto [batch, m, n, k, ta, tb] = s;
  CAPTURE(batch);
  CAPTURE(m);
  CAPTURE(n);
  CAPTURE(k);
  CAPTURE(ta);
  CAPTURE(tb);
  CAPTURE(beta);
  const Array<T> a(batch * m * k, 1), b(batch * k * n, 2);
  Array<Y> y(batch * m * n, 3);
  std::vector<double> expected(y.host.size());
  for (int64_t q = 0; q < batch; ++q)
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        const size_t at = size_t((q * m + i) * n + j);
        double sum = beta == 0 ? 0 : beta * double(y.host[at]);
        for (int64_t p = 0; p < k; ++p)
          sum += double(a.host[size_t(q * m * k + (ta ? p * m + i : i * k + p))]) *
                 double(b.host[size_t(q * k * n + (tb ? j * k + p : p * n + j))]);
        expected[at] = sum;
      }
  for (const MatmulVariant v : kMatmulVariants)
    if (matmul_takes(v, device(), a.data, b.data, s))
      check_variant(name(v), y, beta != 0, expected,
                    [&] { matmul_by(v, device(), y.data, a.data, b.data, s, beta); });
  if constexpr (std::is_same_v<Y, T>)
    check_variant("chosen", y, beta != 0, expected, [&] {
      if (batch == 1) matmul(device(), y.data, a.data, b.data, m, n, k, ta, tb, beta);
      else batched_matmul(device(), y.data, a.data, b.data, batch, m, n, k, ta, tb);
    });
}

// Checks y and the kept argument of linear, with everything that an epilogue can do (whole), or with bias and
// activation alone.
template <class T>
void check_linear(int64_t rows, int64_t out, int64_t in, Act act, bool whole) {
  CAPTURE(rows);
  CAPTURE(out);
  CAPTURE(in);
  CAPTURE(int(act));
  constexpr int64_t kPositions = 3;
  Array<T> x(rows * in, 1), w(out * in, 2), residual(rows * out, 4),
      gate(((rows + kPositions - 1) / kPositions) * out, 5);
  const Array<float> bias(out, 3);
  Array<T> y(rows * out), argument(rows * out);
  std::vector<double> u(y.host.size()), f(y.host.size()), ey(y.host.size());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < out; ++c) {
      double& sum = u[size_t(r * out + c)] = double(bias.host[size_t(c)]);
      for (int64_t p = 0; p < in; ++p)
        sum += double(x.host[size_t(r * in + p)]) * double(w.host[size_t(c * in + p)]);
    }
  with_act(act, [&]<Act a>() {
    for (size_t i = 0; i < u.size(); ++i) f[i] = activate<a>(u[i]);
  });
  for (size_t i = 0; i < u.size(); ++i) {
    const size_t image = i / size_t(out * kPositions), c = i % size_t(out);
    ey[i] = whole ? double(residual.host[i]) + double(gate.host[image * size_t(out) + c]) * f[i] : f[i];
  }
  Epilogue<T> e{bias.data, act, argument.data};
  if (whole) e.residual = residual.data, e.gate = gate.data, e.positions = kPositions;
  const auto check = [&](const std::string& variant, auto run) {
    check_variant(variant, y, false, ey, run);
    check_variant(variant + ", argument", argument, false, u, run);
  };
  const MatmulShape s{1, rows, out, in, false, true};
  for (const MatmulVariant v : kMatmulVariants)
    if (matmul_takes(v, device(), x.data, w.data, s))
      check(name(v), [&] { linear_by(v, device(), y.data, x.data, w.data, s, e); });
  e.argument = nullptr;
  check_variant("chosen", y, false, ey,
                [&] { linear_forward(device(), y.data, x.data, w.data, rows, out, in, e); });
}

template <class T>
void check_conv(const ConvShape& s) {
  const int64_t oh = s.oh(), ow = s.ow();
  std::string text = "n h w ci co kh kw stride pads:";
  for (int64_t v :
       {s.n, s.h, s.w, s.ci, s.co, s.kh, s.kw, s.stride, s.pad_top, s.pad_left, s.pad_bottom, s.pad_right})
    text += ' ', text += std::to_string(v);
  CAPTURE(text);
  Array<T> x(s.n * s.h * s.w * s.ci, 1), dy(s.n * oh * ow * s.co, 2), w(s.co * s.kh * s.kw * s.ci, 3);
  Array<float> bias(s.co, 4), dw(s.co * s.kh * s.kw * s.ci);
  Array<T> y(s.n * oh * ow * s.co), dx(s.n * s.h * s.w * s.ci);
  std::vector<double> ey(y.host.size()), edx(dx.host.size()), edw(dw.host.size()), xs(x.host.size()),
      dys(dy.host.size()), ws(w.host.size());
  std::copy(x.host.begin(), x.host.end(), xs.begin());
  std::copy(dy.host.begin(), dy.host.end(), dys.begin());
  std::copy(w.host.begin(), w.host.end(), ws.begin());
  const std::vector<double> biases(bias.host.begin(), bias.host.end());
  conv_forward_naive(Cpu{}, ey.data(), xs.data(), ws.data(), biases.data(), s);
  conv_backward_input_naive(Cpu{}, edx.data(), dys.data(), ws.data(), s);
  conv_backward_weight_naive(Cpu{}, edw.data(), dys.data(), xs.data(), s);

  const auto check = [&](ConvPass pass, const std::string& variant, auto& result, const auto& expected,
                         auto run) {
    check_variant(std::string(name(pass)) + ", " + variant, result, false, expected, run);
  };
  using enum ConvPass;
  for (const ConvVariant v : kConvVariants) {
    if (conv_takes(v, forward, device(), x.data, w.data, s, true))
      check(forward, name(v), y, ey,
            [&] { conv_forward_by(v, device(), y.data, x.data, w.data, bias.data, s); });
    if (conv_takes(v, backward_input, device(), dy.data, w.data, s))
      check(backward_input, name(v), dx, edx,
            [&] { conv_backward_input_by(v, device(), dx.data, dy.data, w.data, s); });
    if (conv_takes(v, backward_weight, device(), dy.data, x.data, s))
      check(backward_weight, name(v), dw, edw,
            [&] { conv_backward_weight_by(v, device(), dw.data, dy.data, x.data, s); });
  }
  check(forward, "chosen", y, ey, [&] { conv_forward(device(), y.data, x.data, w.data, bias.data, s); });
  check(backward_input, "chosen", dx, edx,
        [&] { conv_backward_input(device(), dx.data, dy.data, w.data, s); });
  check(backward_weight, "chosen", dw, edw,
        [&] { conv_backward_weight(device(), dw.data, dy.data, x.data, s); });
}

}  // namespace

TEST_CASE("matmul agrees with its formula") {
  const int64_t sizes[][4] = {{1, 1, 1, 1},      {1, 7, 13, 5},     {1, 33, 9, 300}, {2, 31, 97, 17},
                              {1, 129, 130, 65}, {3, 40, 24, 72},   {5, 3, 2, 1},    {1, 136, 264, 104},
                              {1, 64, 72, 1536}, {1, 131, 3, 1031}, {2, 8, 8, 8},    {1, 2, 3, 0},
                              {1, 520, 136, 64}, {0, 3, 4, 5}};
  for (const auto& size : sizes)
    for (int transposed = 0; transposed < 4; ++transposed) {
      const MatmulShape s{size[0], size[1], size[2], size[3], (transposed & 1) != 0, (transposed & 2) != 0};
      const double beta = s.batch == 1 ? 0.5 * (transposed % 3) : 0;  // 0, 0.5, 1, 0
      check_matmul<float, float>(s, beta);
      check_matmul<bf16, bf16>(s, beta);
      check_matmul<float, bf16>(s, beta);
      check_matmul<f16, f16>(s, beta);
    }
}

TEST_CASE_TEMPLATE("linear with an epilogue agrees with its formula", T, float, bf16, f16) {
  const int64_t sizes[][3] = {
      {1, 1, 1}, {7, 13, 5}, {131, 136, 40}, {5, 24, 1040}, {3, 8, 0}};  // the last but one in splits
  for (const auto& [rows, out, in] : sizes) {
    check_linear<T>(rows, out, in, Act::gelu, true);
    if (rows > 7) continue;
    for (const Act act : {Act::none, Act::relu, Act::leaky_relu, Act::silu, Act::gelu_tanh})
      check_linear<T>(rows, out, in, act, false);
  }
}

TEST_CASE_TEMPLATE("convolution agrees with its formula", T, float, bf16, f16) {
  const ConvShape shapes[] = {
      // n, h, w, ci, co, kh, kw, stride, pads: top, left, bottom, right
      {1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},     {3, 7, 5, 11, 13, 1, 1, 1, 0, 0, 0, 0},
      {2, 6, 5, 3, 7, 2, 2, 1, 0, 0, 0, 0},     {5, 2, 2, 37, 29, 4, 4, 2, 1, 1, 1, 1},
      {9, 16, 16, 3, 20, 4, 4, 2, 1, 1, 1, 1},  {2, 16, 16, 3, 64, 5, 5, 2, 2, 2, 2, 2},
      {3, 4, 4, 72, 136, 5, 5, 2, 2, 2, 2, 2},  {2, 13, 11, 16, 24, 3, 3, 1, 1, 1, 1, 1},
      {2, 12, 10, 8, 8, 3, 3, 2, 0, 0, 1, 1},   {2, 16, 12, 3, 31, 4, 4, 4, 0, 0, 0, 0},
      {2, 9, 17, 5, 23, 1, 7, 1, 0, 3, 0, 3},   {2, 17, 9, 24, 8, 7, 1, 1, 3, 0, 3, 0},
      {3, 11, 13, 4, 6, 3, 3, 3, 1, 1, 1, 1},   {2, 10, 11, 3, 4, 2, 2, 3, 0, 0, 0, 0},
      {1, 5, 5, 300, 2, 3, 3, 1, 1, 1, 1, 1},   {2, 3, 3, 2, 300, 1, 1, 2, 0, 0, 0, 0},
      {3, 8, 8, 1, 1, 4, 4, 1, 2, 1, 1, 2},     {0, 4, 4, 9, 9, 3, 3, 1, 1, 1, 1, 1},
      {30, 8, 8, 16, 40, 3, 3, 1, 1, 1, 1, 1},  {2, 16, 17, 40, 3, 3, 3, 1, 1, 1, 1, 1},
      {2, 16, 16, 64, 64, 4, 4, 2, 1, 1, 1, 1}, {1, 33, 35, 3, 70, 3, 3, 1, 1, 1, 1, 1},
      {1, 10, 12, 3, 136, 4, 4, 2, 1, 1, 1, 1}, {2, 9, 11, 24, 3, 5, 3, 2, 2, 1, 1, 0},
      {2, 10, 7, 20, 4, 2, 2, 3, 0, 0, 0, 0},   {2, 7, 9, 8, 16, 1, 3, 1, 0, 1, 0, 0},
      {2, 9, 7, 16, 8, 3, 1, 1, 2, 0, 1, 0},    {2, 12, 8, 24, 16, 4, 4, 4, 0, 0, 0, 0},
      {3, 7, 6, 8, 24, 2, 2, 1, 0, 0, 0, 0},    {2, 6, 9, 8, 8, 1, 7, 1, 0, 3, 0, 3},
      {2, 5, 7, 16, 8, 1, 1, 2, 0, 0, 0, 0},    {2, 16, 16, 72, 3, 4, 4, 2, 1, 1, 1, 1},
  };
  for (const ConvShape& s : shapes) check_conv<T>(s);
}

}  // namespace dae
