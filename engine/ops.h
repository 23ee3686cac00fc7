// Every op of the engine: the table of contents. Shapes are literal: N images, H rows, W columns, C channels,
// last varies fastest; "(..., C)" is any number of leading dimensions. Each op checks its shapes
// (Fault::internal), runs one kernel and records its backward; each has rows in tests/rows/. Labels and
// indices are i64. Activations are in the compute type; scalars that come out of a sum (losses, norms),
// biases, gains and statistics in its wide type (dtype.h). Weights of matrix products and tables stand beside
// the activations in their type; the gradients of all of these come in the wide type.
#pragma once
#include <vector>

#include "engine/autograd.h"
#include "engine/random.h"
#include "engine/tensor.h"
#include "kernels/act.h"

// ---- elementwise (engine/ops/elementwise.cpp): same shapes in and out
// --------------------------------------------
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
Tensor shift(const Tensor& x, double offset);
Tensor scale_by(const Tensor& x, const Tensor& s);  // s: one element, on the device
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor abs(const Tensor& x);                             // gradient 0 at 0
Tensor clamp(const Tensor& x, double low, double high);  // gradient 0 outside, 1 at the bounds (as PyTorch)
Tensor add_bias(const Tensor& x, const Tensor& bias);    // (..., C) + (C)
// Per image and channel: residual + gate * y, residual and y (N, ..., C), gate (N, C).
Tensor gate_add(const Tensor& residual, const Tensor& gate, const Tensor& y);
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator*(double s, const Tensor& x) { return scale(x, s); }

// ---- activations (engine/ops/activation.cpp)
// ---------------------------------------------------------------------
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double slope);
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor silu(const Tensor& x);       // x sigmoid(x), "swish"
Tensor gelu(const Tensor& x);       // exact: x Phi(x)
Tensor gelu_tanh(const Tensor& x);  // the tanh approximation
Tensor softplus(const Tensor& x);   // log(1 + e^x), stable

// ---- reductions (engine/ops/reduce.cpp)
// --------------------------------------------------------------------------
Tensor sum(const Tensor& x);       // a scalar (rank 0)
Tensor mean(const Tensor& x);      // a scalar
Tensor l2_norm(const Tensor& x);   // a scalar: Frobenius norm; gradient 0 at 0
Tensor sum_last(const Tensor& x);  // (..., C) -> (...)
Tensor sum_rows(const Tensor& x);  // (..., C) -> (C): over all but the last dimension

// ---- softmax and classification (engine/ops/softmax.cpp)
// ---------------------------------------------------------
Tensor softmax(const Tensor& x);                                   // over the last dimension
Tensor cross_entropy(const Tensor& logits, const Tensor& labels);  // (R, C), (R) -> scalar, mean over rows

// ---- losses (engine/ops/loss.cpp): scalars
// -----------------------------------------------------------------------
Tensor mse_loss(const Tensor& a, const Tensor& b);            // mean (a - b)^2
Tensor l1_loss(const Tensor& a, const Tensor& b);             // mean |a - b|
Tensor bce_with_logits(const Tensor& logits, double target);  // mean; stable
Tensor hinge_loss(const Tensor& logits, double sign);         // mean relu(1 - sign * logit)
// A draw of a diagonal Gaussian and its divergence from N(0, I) in one pass; mu, logvar (N, ...):
//   z = mu + e^(logvar/2) eps, kl = 1/2 sum(mu^2 + e^logvar - 1 - logvar), summed per image, mean over
//   images.
// eps is drawn from key, and again in backward, or is given.
struct NormalSample {
  Tensor z, kl;
};
NormalSample sample_normal(const Tensor& mu, const Tensor& logvar, Key key);
NormalSample sample_normal(const Tensor& mu, const Tensor& logvar, const Tensor& eps);

// ---- shape (engine/ops/shape.cpp)
// --------------------------------------------------------------------------------
Tensor reshape(const Tensor& x, const Shape& shape);             // shares memory; one -1 is worked out
Tensor permute(const Tensor& x, const std::vector<int>& order);  // y's dimension i is x's dimension order[i]
Tensor concat(const std::vector<Tensor>& parts, int axis);
Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end);
std::vector<Tensor> split(const Tensor& x, int axis, int parts);  // equal parts

// ---- matmul (engine/ops/matmul.cpp)
// ------------------------------------------------------------------------------
// act(x weight^T + bias): x (..., I), weight (O, I), bias (O) or none -> (..., O); act as below.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Act act = Act::none);
// residual + gate (x weight^T + bias): residual (N, ..., O), x (N, ..., I), gate (N, O), or none: 1.
Tensor linear_add(const Tensor& residual, const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                  const Tensor& gate = {});
// (B, M, K) x (B, K, N) -> (B, M, N); a transposed operand is stored (B, K, M) or (B, N, K). Rank 2: no B.
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);

// ---- attention (engine/ops/attention.cpp)
// ------------------------------------------------------------------------------
struct AttentionOptions {
  int64_t heads = 1;
  bool causal = false;   // no query sees a later position; with fewer queries than keys they are the last
  int64_t unmasked = 0;  // causal, but the first `unmasked` positions see each other
};
// softmax(q k^T / sqrt(d)) v in each head, C = heads d: (B, Tq, C), (B, Tk, C), (B, Tk, C) -> (B, Tq, C).
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options);
// The same with q, k, v in one projection (B, T, 3 C), ordered (3, heads, d), read in place -> (B, T, C).
Tensor attention(const Tensor& qkv, const AttentionOptions& options);

// ---- convolution (engine/ops/conv.cpp)
// ---------------------------------------------------------------------------
struct Pad {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  Pad(int64_t all = 0) : top(all), left(all), bottom(all), right(all) {}
  Pad(int64_t top, int64_t left, int64_t bottom, int64_t right)
      : top(top), left(left), bottom(bottom), right(right) {}
};
// x (N, H, W, Ci), weight (Co, kh, kw, Ci), bias (Co) or none -> (N, (H + pads - kh)/stride + 1, ..., Co)
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride, Pad pad);
// x (N, H, W, Ci), weight (Ci, kh, kw, Co), bias (Co) or none -> (N, (H-1) stride - 2 pad + kh, ..., Co)
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride,
                        int64_t pad);

// ---- normalisation (engine/ops/norm.cpp), the activation fused
// --------------------------------------------------
// Act (kernels/act.h): none, relu, leaky_relu with slope 0.2, silu, gelu, gelu_tanh.
// x (..., C); weight, bias (C). Training: statistics of the batch, and running ones are updated in place:
// r = (1 - momentum) r + momentum * batch (variance unbiased). Otherwise the running ones are used.
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                  Tensor& running_var, bool training, double momentum, double eps, Act act = Act::none);
// x (N, ..., C) in `groups` groups of channels; weight, bias (C).
Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t groups, double eps,
                  Act act = Act::none);
// x (..., C); weight, bias (C), or none of both.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);
// layer_norm(x) (1 + scale) + shift: x (N, ..., C), shift and scale (N, C). adaLN, DiT (Peebles & Xie 2022).
Tensor modulated_norm(const Tensor& x, const Tensor& shift, const Tensor& scale, double eps);

// ---- resampling (engine/ops/resample.cpp), x (N, H, W, C)
// --------------------------------------------------------
Tensor upsample_nearest(const Tensor& x, int64_t factor);
// ceil_mode: a last window that reaches beyond the padded image counts too, if it begins within.
Tensor max_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t pad, bool ceil_mode = false);
Tensor avg_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t pad, bool count_pad);
Tensor global_avg_pool(const Tensor& x);  // (N, C)

// ---- random (engine/ops/random.cpp): element i depends on (key, i) alone
// -----------------------------------------
Tensor normal(const Shape& shape, Key key, Dtype dtype = Dtype::f32, Device device = Device::cpu);
Tensor uniform(const Shape& shape, double low, double high, Key key, Dtype dtype = Dtype::f32,
               Device device = Device::cpu);
Tensor dropout(const Tensor& x, double p, Key key);  // kept ones times 1/(1-p); the mask is recomputed
Tensor channel_dropout(const Tensor& x, double p,
                       Key key);  // (N, ..., C): one mask value per image and channel

// ---- lookup (engine/ops/lookup.cpp)
// ------------------------------------------------------------------------------
Tensor embedding(const Tensor& table, const Tensor& index);  // (V, C), i64 (...) -> (..., C)

// ---- vector quantisation (engine/ops/vq.cpp): the codes are rows of a codebook, looked up by `embedding`
// --------------------------------------------------------------------------------
Tensor nearest_code(const Tensor& z, const Tensor& codebook);  // (R, D), (K, D) -> i64 (R); lowest on ties
Tensor code_usage(const Tensor& index, int64_t codes);  // i64 (...) in [0, codes) -> i64 (codes): counts
// The value of `quantized`; the gradient goes to z as if they were the same.
Tensor straight_through(const Tensor& z, const Tensor& quantized);
