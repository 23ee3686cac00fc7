// Every op of the engine. Each op checks its shapes (Fault::internal), runs its kernel and records its
// backward; each has rows in tests/rows/.
//
// Shapes: N images, H rows, W columns, C channels; the last dimension varies fastest; "(..., C)" stands for
// any number of leading dimensions.
//
// Types (dtype.h):
//   compute type   activations and their gradients; weights of matrix products and convolutions; tables
//   wide type      losses, norms and other sums to a scalar; biases, gains and statistics; the gradients of
//                  weights, tables, biases and gains
//   i64            labels and indices
#pragma once
#include <vector>

#include "engine/autograd.h"
#include "engine/random.h"
#include "engine/tensor.h"
#include "kernels/activation/act.h"

namespace dae {

// ---- elementwise (engine/ops/elementwise.cpp): same shapes in and out -------------------------------------
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor scale(const Tensor& x, double factor);
Tensor shift(const Tensor& x, double offset);
Tensor scale_by(const Tensor& x, const Tensor& s);  // s x; s has one element and lies on the device of x
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor abs(const Tensor& x);                             // gradient 0 at 0
Tensor clamp(const Tensor& x, double low, double high);  // gradient 0 outside, 1 at the bounds (as PyTorch)
Tensor add_bias(const Tensor& x, const Tensor& bias);    // (..., C) + (C)
// Returns residual + gate y: residual and y (N, ..., C); gate (N, C) is the same for all positions of an
// image.
Tensor gate_add(const Tensor& residual, const Tensor& gate, const Tensor& y);
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator*(double s, const Tensor& x) { return scale(x, s); }

// ---- activations (engine/ops/activation.cpp) --------------------------------------------------------------
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double slope);
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor silu(const Tensor& x);       // x sigmoid(x)
Tensor gelu(const Tensor& x);       // exact: x Phi(x)
Tensor gelu_tanh(const Tensor& x);  // the tanh approximation
Tensor softplus(const Tensor& x);   // log(1 + e^x), without overflow

// ---- reductions (engine/ops/reduce.cpp) -------------------------------------------------------------------
Tensor sum(const Tensor& x);       // a scalar (rank 0)
Tensor mean(const Tensor& x);      // a scalar
Tensor l2_norm(const Tensor& x);   // a scalar: the Frobenius norm; gradient 0 at 0
Tensor sum_last(const Tensor& x);  // (..., C) -> (...)
Tensor sum_rows(const Tensor& x);  // (..., C) -> (C)

// ---- softmax and classification (engine/ops/softmax.cpp) --------------------------------------------------
Tensor softmax(const Tensor& x);                                   // over the last dimension
Tensor cross_entropy(const Tensor& logits, const Tensor& labels);  // (R, C), (R) -> scalar, mean over rows

// ---- losses (engine/ops/loss.cpp): scalars ----------------------------------------------------------------
Tensor mse_loss(const Tensor& a, const Tensor& b);            // mean (a - b)^2
Tensor l1_loss(const Tensor& a, const Tensor& b);             // mean |a - b|
Tensor bce_with_logits(const Tensor& logits, double target);  // mean (softplus(logit) - target logit)
Tensor hinge_loss(const Tensor& logits, double sign);         // mean relu(1 - sign logit)
// Draws from a diagonal Gaussian and computes its divergence from N(0, I), in one pass. mu, logvar (N, ...):
//   z  = mu + e^(logvar/2) eps
//   kl = 1/2 sum(mu^2 + e^logvar - 1 - logvar), the sum over each image, the mean over images
// eps is normal noise of the shape of mu: drawn from `key`, and drawn again in the backward, or given.
struct NormalSample {
  Tensor z, kl;
};
NormalSample sample_normal(const Tensor& mu, const Tensor& logvar, Key key);
NormalSample sample_normal(const Tensor& mu, const Tensor& logvar, const Tensor& eps);

// ---- shape (engine/ops/shape.cpp) -------------------------------------------------------------------------
Tensor reshape(const Tensor& x, const Shape& shape);  // shares memory; one size may be -1: inferred
Tensor permute(const Tensor& x, const std::vector<int>& order);  // y's dimension i is x's dimension order[i]
Tensor concat(const std::vector<Tensor>& parts, int axis);
Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end);
std::vector<Tensor> split(const Tensor& x, int axis, int parts);  // equal parts

// ---- matmul (engine/ops/matmul.cpp) -----------------------------------------------------------------------
// Returns act(x weight^T + bias): x (..., I), weight (O, I), bias (O) or none -> (..., O). act: see
// normalisation.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {}, Act act = Act::none);
// Returns residual + gate (x weight^T + bias): residual (N, ..., O), x (N, ..., I), gate (N, O) or none (1).
Tensor linear_add(const Tensor& residual, const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                  const Tensor& gate = {});
// Returns the product a b: (B, M, K) x (B, K, N) -> (B, M, N), or rank 2 without B. An operand that is to be
// transposed is given as (B, K, M) or (B, N, K).
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);

// ---- attention (engine/ops/attention.cpp) -----------------------------------------------------------------
struct AttentionOptions {
  int64_t heads = 1;
  bool causal = false;   // a query sees no later position; query i has the position Tk - Tq + i
  int64_t unmasked = 0;  // with causal: the first `unmasked` positions all see each other
};
// Returns softmax(q k^T / sqrt(d)) v for each head: q (B, Tq, C), k and v (B, Tk, C) -> (B, Tq, C), with
// C = heads d (Vaswani et al. 2017).
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& options);
// The same with q, k and v in one projection, which is read in place: qkv (B, T, 3 C), its last dimension in
// the order (3, heads, d) -> (B, T, C).
Tensor attention(const Tensor& qkv, const AttentionOptions& options);

// ---- convolution (engine/ops/conv.cpp) --------------------------------------------------------------------
struct Pad {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  Pad(int64_t all = 0) : top(all), left(all), bottom(all), right(all) {}
  Pad(int64_t top, int64_t left, int64_t bottom, int64_t right)
      : top(top), left(left), bottom(bottom), right(right) {}
};
// Returns the convolution of x with weight, plus bias, as PyTorch defines it:
//   x (N, H, W, Ci), weight (Co, kh, kw, Ci), bias (Co) or none
//   -> (N, (H + top + bottom - kh) / stride + 1, ..., Co), the quotient rounded down
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride, Pad pad);
// Returns the transposed convolution, the adjoint of a convolution with respect to its input, plus bias:
//   x (N, H, W, Ci), weight (Ci, kh, kw, Co), bias (Co) or none
//   -> (N, (H - 1) stride - 2 pad + kh, ..., Co)
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t stride,
                        int64_t pad);

// ---- normalisation (engine/ops/norm.cpp), the activation fused --------------------------------------------
// Each returns act((x - mean) / sqrt(var + eps) weight + bias). The ops differ in what the statistics cover.
// Act (kernels/activation/act.h): none, relu, leaky_relu with slope 0.2, silu, gelu, gelu_tanh.

// Statistics of each channel: x (..., C); weight, bias (C). Training uses the statistics of the batch and
// updates the running ones in place, the variance in its unbiased form:
//   running = (1 - momentum) running + momentum batch
// Otherwise the running statistics are used (Ioffe & Szegedy 2015).
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                  Tensor& running_var, bool training, double momentum, double eps, Act act = Act::none);
// Statistics of each image and group of channels: x (N, ..., C); weight, bias (C) (Wu & He 2018).
Tensor group_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, int64_t groups, double eps,
                  Act act = Act::none);
// Statistics over the last dimension: x (..., C); weight and bias (C), or both none (Ba et al. 2016).
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);
// Returns layer_norm(x) (1 + scale) + shift: x (N, ..., C), shift and scale (N, C). This is adaLN of DiT
// (Peebles & Xie 2022).
Tensor modulated_norm(const Tensor& x, const Tensor& shift, const Tensor& scale, double eps);

// ---- resampling (engine/ops/resample.cpp), x (N, H, W, C) -------------------------------------------------
Tensor upsample_nearest(const Tensor& x, int64_t factor);
// ceil_mode: a last window that begins in the padded image but reaches beyond it counts too (as PyTorch).
Tensor max_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t pad, bool ceil_mode = false);
// count_pad: the padding counts as zeros in the mean; otherwise it is left out.
Tensor avg_pool(const Tensor& x, int64_t kernel, int64_t stride, int64_t pad, bool count_pad);
Tensor global_avg_pool(const Tensor& x);  // (N, C)

// ---- random (engine/ops/random.cpp): element i depends on (key, i) alone ----------------------------------
Tensor normal(const Shape& shape, Key key, Dtype dtype = Dtype::f32, Device device = Device::cpu);
Tensor uniform(const Shape& shape, double low, double high, Key key, Dtype dtype = Dtype::f32,
               Device device = Device::cpu);
// Sets each element to 0 with probability p and multiplies the others by 1/(1-p). The backward draws the mask
// again instead of keeping it.
Tensor dropout(const Tensor& x, double p, Key key);
// The same with one draw for each image and channel: x (N, ..., C).
Tensor channel_dropout(const Tensor& x, double p, Key key);

// ---- lookup (engine/ops/lookup.cpp) -----------------------------------------------------------------------
// Returns rows of the table: table (V, C), index i64 (...) in [0, V) -> (..., C).
Tensor embedding(const Tensor& table, const Tensor& index);

// ---- vector quantisation (engine/ops/vq.cpp): the codes are rows of a codebook, looked up by `embedding` --
// Returns for each row of z the index of the nearest code (Euclidean), the lowest on ties: z (R, D), codebook
// (K, D) -> i64 (R).
Tensor nearest_code(const Tensor& z, const Tensor& codebook);
// Returns how often each code occurs: index i64 (...) in [0, codes) -> i64 (codes).
Tensor code_usage(const Tensor& index, int64_t codes);
// Returns the values of `quantized`, but passes the gradient on to z unchanged (van den Oord et al. 2017).
Tensor straight_through(const Tensor& z, const Tensor& quantized);

}  // namespace dae
