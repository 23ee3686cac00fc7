// Large sizes on CUDA, every variant against the naive one on the same inputs. Products and convolutions have
// more tiles than a GPU has multiprocessors, so a persistent block takes a second tile and its ring of copies
// goes on from the first. Images have up to 256 pixels a side. On the emulated device the sizes are smaller,
// but a block takes a second tile too. Boxes of stride 2, which TMA reads with steps, come first, because no
// other test uses them.
//
// Limits on the relative norm, fixed before any error was seen (u = 2^-8 for bf16, 2^-11 for f16):
//   f32 result      1e-5: sums of thousands of products, whose roundings of 2^-24 add like a random walk; plus
//                   2^-23 for each sixteen products on tensor cores, which truncate instead of rounding
//   16-bit result   1e-5 or 2^-23 as above, plus u for the rounding of each side
//   attention       2 x 3 u: 3 u as in test_attention.cpp, twice, since the naive variant has the same error
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "kernels/attention/variants.h"
#include "kernels/conv/variants.h"
#include "kernels/device/gpu.h"
#include "kernels/matmul/variants.h"
#include "kernels/vq/variants.h"
#include "tests/rows/rows.h"

namespace dae {

namespace {

int64_t size(int64_t on_gpu, int64_t emulated) { return kCuda == CudaBuild::emulated ? emulated : on_gpu; }
Cuda device() { return {gpu_stream()}; }

template <class T>
constexpr double kRounding = std::is_same_v<T, float>  ? 0
                             : std::is_same_v<T, bf16> ? 0x1p-8
                                                       : 0x1p-11;
double limit_of_sum(int64_t products) { return 1e-5 + double(products) / 16 * 0x1p-23; }

Tensor drawn(const Shape& shape, Dtype dtype, uint32_t op) {
  return normal(shape, Key{7, 0, op}, dtype, Device::cuda);
}
template <class T>
T* data(const Tensor& t) {
  return static_cast<T*>(t.raw());
}

// Runs run(v, y) for each variant that supports the shape, with y filled with NaN, and compares with the
// first variant, which is the naive one.
template <class Variant, size_t kCount, class Takes, class Run>
void against_naive(const Variant (&variants)[kCount], const Shape& shape, Dtype dtype, double limit,
                   Takes takes, Run run) {
  Tensor expected;
  for (const Variant v : variants) {
    if (!takes(v)) continue;
    const std::string variant = name(v);
    CAPTURE(variant);
    const Tensor y = Tensor::full(shape, NAN, dtype, Device::cuda);
    run(v, y);
    if (expected) CHECK(relative_error(y, expected) <= limit);
    else expected = y;
  }
}

template <class Y, class T>
void check_matmul(int64_t m, int64_t n, int64_t k) {
  for (int transposed = 0; transposed < 4; ++transposed) {
    const MatmulShape s{1, m, n, k, (transposed & 1) != 0, (transposed & 2) != 0};
    CAPTURE(m);
    CAPTURE(n);
    CAPTURE(k);
    CAPTURE(transposed);
    const Tensor a = drawn({m, k}, dtype_of<T>(), 1), b = drawn({k, n}, dtype_of<T>(), 2);
    against_naive(
        kMatmulVariants, {m, n}, dtype_of<Y>(), limit_of_sum(k) + kRounding<Y>,
        [&](MatmulVariant v) { return matmul_takes(v, device(), data<T>(a), data<T>(b), s); },
        [&](MatmulVariant v, const Tensor& y) {
          matmul_by(v, device(), data<Y>(y), data<T>(a), data<T>(b), s, 0);
        });
  }
}

template <class T>
void check_conv(const ConvShape& s) {
  const std::string text = std::to_string(s.n) + "x" + std::to_string(s.h) + "x" + std::to_string(s.w) + "x" +
                           std::to_string(s.ci) + " k" + std::to_string(s.kh) + " s" +
                           std::to_string(s.stride) + " -> " + std::to_string(s.co);
  CAPTURE(text);
  const Dtype dtype = dtype_of<T>();
  const Shape image{s.n, s.h, s.w, s.ci}, result{s.n, s.oh(), s.ow(), s.co}, weight{s.co, s.kh, s.kw, s.ci};
  const Tensor x = drawn(image, dtype, 1), dy = drawn(result, dtype, 2), w = drawn(weight, dtype, 3);
  const Tensor bias = drawn({s.co}, Dtype::f32, 4);
  using enum ConvPass;
  const auto check = [&](ConvPass pass, const Shape& shape, Dtype type, double limit, const Tensor& a,
                         const Tensor& b, auto run) {
    CAPTURE(std::string(name(pass)));
    against_naive(
        kConvVariants, shape, type, limit,
        [&](ConvVariant v) {
          return conv_takes(v, pass, device(), data<T>(a), data<T>(b), s, pass == forward);
        },
        run);
  };
  const int64_t taps = s.kh * s.kw;
  check(forward, result, dtype, limit_of_sum(taps * s.ci) + kRounding<T>, x, w,
        [&](ConvVariant v, const Tensor& y) {
          conv_forward_by<T>(v, device(), data<T>(y), data<T>(x), data<T>(w), data<float>(bias), s);
        });
  check(backward_input, image, dtype, limit_of_sum(taps * s.co) + kRounding<T>, dy, w,
        [&](ConvVariant v, const Tensor& dx) {
          conv_backward_input_by<T>(v, device(), data<T>(dx), data<T>(dy), data<T>(w), s);
        });
  check(backward_weight, weight, Dtype::f32, limit_of_sum(s.n * s.oh() * s.ow()), dy, x,
        [&](ConvVariant v, const Tensor& dw) {
          conv_backward_weight_by<T>(v, device(), data<float>(dw), data<T>(dy), data<T>(x), s);
        });
}

// Self-attention over a packed projection (batch, tokens, 3, heads, head_dim).
template <class T>
void check_attention(int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim, bool causal) {
  const int64_t width = heads * head_dim;
  const AttentionShape s{batch, heads, tokens, tokens, head_dim, 3 * width, 3 * width, causal};
  CAPTURE(batch);
  CAPTURE(tokens);
  CAPTURE(head_dim);
  const Dtype dtype = dtype_of<T>();
  const Tensor packed = drawn({batch, tokens, 3 * width}, dtype, 1),
               dy = drawn({batch, tokens, width}, dtype, 2);
  const T *q = data<T>(packed), *k = q + width, *v = k + width;
  Tensor y, lse;  // results of the last variant, which the backward passes use
  against_naive(
      kAttentionVariants, dy.shape(), dtype, 2 * 3 * kRounding<T>,
      [&](AttentionVariant v) { return attention_takes(v, device(), AttentionForward<T>{.shape = s}); },
      [&](AttentionVariant variant, const Tensor& to) {
        y = to, lse = Tensor::full({batch, heads, tokens}, NAN, Dtype::f32, Device::cuda);
        attention_by(variant, device(), AttentionForward<T>{data<T>(y), data<float>(lse), q, k, v, s});
      });
  against_naive(
      kAttentionVariants, packed.shape(), dtype, 2 * 3 * kRounding<T>,
      [&](AttentionVariant v) { return attention_takes(v, device(), AttentionBackward<T>{.shape = s}); },
      [&](AttentionVariant variant, const Tensor& to) {
        T* dq = data<T>(to);
        attention_by(variant, device(),
                     AttentionBackward<T>{dq, dq + width, dq + 2 * width, data<T>(dy), data<T>(y),
                                          data<float>(lse), q, k, v, s});
      });
}

}  // namespace

TEST_CASE_TEMPLATE("large convolutions of stride 2", T, bf16, f16) {
  const int64_t side = size(256, 16);
  check_conv<T>({size(8, 2), side, side, size(64, 24), size(128, 136), 4, 4, 2, 1, 1, 1, 1});
  check_conv<T>({size(8, 2), side, side, size(128, 16), size(128, 24), 3, 3, 2, 0, 0, 1, 1});
  check_conv<T>({size(128, 9), size(16, 8), size(16, 8), size(64, 16), size(256, 40), 5, 5, 2, 2, 2, 2, 2});
}

TEST_CASE_TEMPLATE("large matrix products in all transpositions", T, bf16, f16, float) {
  check_matmul<float, T>(size(2048, 264), size(2048, 264), size(2048, 72));
  check_matmul<T, T>(size(3080, 136), size(4104, 392), size(1032, 40));
  check_matmul<T, T>(size(16384, 640), size(1024, 8), size(4096, 136));
}

TEST_CASE_TEMPLATE("a large linear layer with an epilogue", T, bf16, f16, float) {
  const int64_t rows = size(16384, 264), out = size(4096, 136), in = size(1024, 40), positions = size(64, 3);
  const Dtype dtype = dtype_of<T>();
  const Tensor x = drawn({rows, in}, dtype, 1), w = drawn({out, in}, dtype, 2),
               bias = drawn({out}, Dtype::f32, 3), residual = drawn({rows, out}, dtype, 4),
               gate = drawn({rows / positions, out}, dtype, 5);
  const MatmulShape s{1, rows, out, in, false, true};
  Epilogue<T> e{data<float>(bias), Act::gelu, nullptr};
  e.residual = data<T>(residual), e.gate = data<T>(gate), e.positions = positions;
  against_naive(
      kMatmulVariants, {rows, out}, dtype, limit_of_sum(in) + kRounding<T>,
      [&](MatmulVariant v) { return matmul_takes(v, device(), data<T>(x), data<T>(w), s); },
      [&](MatmulVariant v, const Tensor& y) {
        linear_by(v, device(), data<T>(y), data<T>(x), data<T>(w), s, e);
      });
}

TEST_CASE_TEMPLATE("convolutions of 256 pixels", T, bf16, f16, float) {
  const int64_t side = size(256, 18);
  check_conv<T>({size(2, 1), side, side, size(128, 40), size(128, 136), 3, 3, 1, 1, 1, 1, 1});
  check_conv<T>({size(4, 2), side, side, 3, size(128, 24), 3, 3, 1, 1, 1, 1, 1});
  check_conv<T>({size(4, 2), side, side, size(128, 24), 3, 3, 3, 1, 1, 1, 1, 1});
  check_conv<T>({size(8, 3), size(64, 9), size(64, 7), size(512, 16), size(512, 264), 1, 1, 1, 0, 0, 0, 0});
}

TEST_CASE_TEMPLATE("attention of whole models", T, bf16, f16) {
  check_attention<T>(size(256, 1), size(16, 2), size(64, 24), size(72, 24), false);  // DiT
  check_attention<T>(size(16, 1), size(16, 2), size(256, 40), size(64, 16), true);   // prior
  check_attention<T>(size(8, 1), 1, size(1024, 72), size(512, 48), false);           // KL autoencoder
}

TEST_CASE_TEMPLATE("the nearest of a whole codebook", T, bf16, f16, float) {
  const int64_t count = size(65536, 300), codes = size(1024, 136), channels = size(256, 24);
  const Tensor z = drawn({count, channels}, dtype_of<T>(), 1),
               codebook = drawn({codes, channels}, Dtype::f32, 2);
  Tensor expected;
  for (const NearestVariant v : kNearestVariants) {
    const Tensor index =
        Tensor::of({count}, std::vector<double>(size_t(count), -1), Dtype::i64).to(Device::cuda);
    nearest_code_by(v, device(), data<int64_t>(index), data<T>(z), data<float>(codebook),
                    {count, codes, channels});
    if (expected) CHECK(same_bits(index, expected));
    else expected = index;
  }
}

}  // namespace dae
