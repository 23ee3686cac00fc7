// Single ops over the shapes of our models.
#include <fmt/format.h>

#include "bench/bench.h"
#include "engine/nn.h"
#include "kernels/matmul/gemm.h"
#include "kernels/optim.h"

namespace bench {
namespace {

using Tensors = std::vector<Tensor>;
using Function = std::function<Tensor(const Tensors&)>;

uint32_t next_draw = 0;
Tensor drawn(const Shape& shape) { return normal(shape, Key{1, 0, next_draw++}); }

int64_t sets_for(double bytes) { return std::clamp<int64_t>(int64_t(kFootprint / bytes), 2, 64); }

// Forward alone, and forward with the gradient of every input. Of a matrix product the backward has twice the
// work of the forward.
void add(std::vector<Row>& rows, const std::string& op, const std::string& shape,
         const std::vector<Shape>& inputs, double flops, double backward_flops, const Function& f) {
  double input_bytes = 0;
  for (const Shape& s : inputs) input_bytes += 4.0 * double(s.size());
  double output_bytes = 0;
  {
    NoGrad off;
    Tensors x;
    for (const Shape& s : inputs) x.push_back(Tensor::zeros(s));
    output_bytes = double(f(x).bytes());
  }
  for (const bool backward : {false, true}) {
    Row row;
    row.op = op + (backward ? " fwd+bwd" : " fwd");
    row.shape = shape;
    row.variant = "cpu";
    row.flops = flops + (backward ? backward_flops : 0);
    // Backward reads the inputs and dy and writes as many gradients as there are inputs.
    row.bytes = input_bytes + output_bytes + (backward ? 2 * input_bytes + output_bytes : 0);
    row.prepare = [=]() -> std::function<void(int64_t)> {
      auto sets = std::make_shared<std::vector<Tensors>>();
      auto dy = std::make_shared<Tensors>();
      for (int64_t i = 0; i < sets_for(input_bytes + output_bytes); ++i) {
        Tensors x;
        for (const Shape& s : inputs) {
          x.push_back(drawn(s));
          if (backward) track(x.back());
        }
        if (backward) {
          NoGrad off;
          dy->push_back(drawn(f(x).shape()));
        }
        sets->push_back(std::move(x));
      }
      return [=](int64_t turn) {
        const size_t i = size_t(turn) % sets->size();
        const Tensor y = f((*sets)[i]);
        if (backward) grad(y, (*sets)[i], {false, (*dy)[i]});
      };
    };
    rows.push_back(std::move(row));
  }
}

void add_conv(std::vector<Row>& rows, int64_t n, int64_t side, int64_t in, int64_t out, int64_t k,
              int64_t stride, int64_t pad) {
  const int64_t o = (side + 2 * pad - k) / stride + 1;
  const double flops = 2.0 * double(n * o * o * out * k * k * in);
  add(rows, "conv2d", fmt::format("{}x{}x{}x{} k{} s{} -> {}", n, side, side, in, k, stride, out),
      {{n, side, side, in}, {out, k, k, in}}, flops, 2 * flops,
      [=](const Tensors& x) { return conv2d(x[0], x[1], {}, stride, pad); });
}
void add_conv_transpose(std::vector<Row>& rows, int64_t n, int64_t side, int64_t in, int64_t out, int64_t k,
                        int64_t stride, int64_t pad) {
  const double flops = 2.0 * double(n * side * side * out * k * k * in);
  add(rows, "conv_transpose2d", fmt::format("{}x{}x{}x{} k{} s{} -> {}", n, side, side, in, k, stride, out),
      {{n, side, side, in}, {in, k, k, out}}, flops, 2 * flops,
      [=](const Tensors& x) { return conv_transpose2d(x[0], x[1], {}, stride, pad); });
}
void add_linear(std::vector<Row>& rows, int64_t m, int64_t n, int64_t k) {
  const double flops = 2.0 * double(m) * double(n) * double(k);
  add(rows, "linear", fmt::format("{}x{} -> {}", m, k, n), {{m, k}, {n, k}}, flops, 2 * flops,
      [](const Tensors& x) { return linear(x[0], x[1]); });
}

// x + conv(silu(norm(conv(silu(norm(x)))))), both convolutions 3x3, 32 groups: the block of VQGAN and KL-f8.
void add_residual(std::vector<Row>& rows, int64_t n, int64_t side, int64_t c) {
  const double flops = 2 * 2.0 * double(n * side * side) * double(9 * c * c);
  const Shape image{n, side, side, c}, w{c, 3, 3, c}, b{c};
  add(rows, "residual block", fmt::format("{}x{}x{}x{}", n, side, side, c), {image, b, b, w, b, b, b, w, b},
      flops, 2 * flops, [](const Tensors& x) {
        const Tensor h = conv2d(group_norm(x[0], x[1], x[2], 32, 1e-6, Act::silu), x[3], x[4], 1, 1);
        return x[0] + conv2d(group_norm(h, x[5], x[6], 32, 1e-6, Act::silu), x[7], x[8], 1, 1);
      });
}

// One product on one thread by each of our matrix multiplications.
void add_gemm(std::vector<Row>& rows, int64_t m, int64_t n, int64_t k, bool ta, bool tb) {
  using Gemm = void (*)(float*, const float*, const float*, int64_t, int64_t, int64_t, bool, bool);
  const auto variant = [&](const std::string& name, Gemm f) {
    Row row;
    row.op = fmt::format("gemm {}{}", ta ? "T" : "N", tb ? "T" : "N");
    row.shape = fmt::format("{}x{}x{}", m, n, k);
    row.variant = name;
    row.flops = 2.0 * double(m) * double(n) * double(k);
    row.bytes = 4.0 * double(m * k + k * n + m * n);
    row.threads = 1;
    row.prepare = [=]() -> std::function<void(int64_t)> {
      auto sets = std::make_shared<std::vector<Tensors>>();
      for (int64_t i = 0; i < sets_for(row.bytes); ++i)
        sets->push_back({Tensor({m, n}), drawn({m, k}), drawn({k, n})});
      return [=](int64_t turn) {
        const Tensors& t = (*sets)[size_t(turn) % sets->size()];
        f(t[0].data<float>(), t[1].data<float>(), t[2].data<float>(), m, n, k, ta, tb);
      };
    };
    rows.push_back(std::move(row));
  };
  variant("tiled", [](float* y, const float* a, const float* b, int64_t m, int64_t n, int64_t k, bool ta,
                      bool tb) { gemm_tiled(y, n, a, ta ? m : k, b, tb ? k : n, m, n, k, ta, tb); });
#ifdef DAE_ONEDNN
  variant("oneDNN", [](float* y, const float* a, const float* b, int64_t m, int64_t n, int64_t k, bool ta,
                       bool tb) { gemm_onednn(y, n, a, ta ? m : k, b, tb ? k : n, m, n, k, ta, tb, 0); });
#endif
}

// 36 bytes a parameter: four arrays read and written, the gradient read.
Row adamw_row(int64_t n) {
  Row row;
  row.op = "adamw + ema";
  row.shape = fmt::format("{} parameters", n);
  row.variant = "cpu";
  row.flops = 15.0 * double(n);
  row.bytes = 36.0 * double(n);
  row.prepare = [=]() -> std::function<void(int64_t)> {
    auto sets = std::make_shared<std::vector<Tensors>>();
    for (int64_t i = 0; i < sets_for(20.0 * double(n)); ++i)
      sets->push_back({drawn({n}), drawn({n}), square(drawn({n})), drawn({n}), drawn({n})});
    return [=](int64_t turn) {
      const Tensors& t = (*sets)[size_t(turn) % sets->size()];
      adamw_step(Cpu{}, t[0].data<float>(), t[1].data<float>(), t[2].data<float>(), t[3].data<float>(),
                 t[4].data<float>(), n, AdamStep{1e-4, 0.9, 0.95, 1e-8, 0.01, true, turn + 1, 0.999});
    };
  };
  return row;
}

}  // namespace

std::vector<Row> op_rows() {
  std::vector<Row> rows;
  for (const bool tb : {false, true})
    for (const bool ta : {false, true}) add_gemm(rows, 256, 1024, 1024, ta, tb);
  add_gemm(rows, 1024, 512, 2048, false, false);

  add_linear(rows, 1024, 3072, 1024);  // DiT-L: qkv of 16 images of 64 tokens
  add_linear(rows, 1024, 4096, 1024);
  add_linear(rows, 128, 1, 2048);   // the discriminator's head
  add_linear(rows, 128, 128, 128);  // the toy VAE
  add(rows, "matmul", "32x256x64 x 64x256", {{32, 256, 64}, {32, 256, 64}}, 2.0 * 32 * 256 * 256 * 64,
      4.0 * 32 * 256 * 256 * 64, [](const Tensors& x) { return matmul(x[0], x[1], false, true); });

  add_conv(rows, 64, 32, 3, 64, 5, 2, 2);  // DCGAN's discriminator
  add_conv(rows, 64, 16, 64, 128, 5, 2, 2);
  add_conv(rows, 64, 8, 128, 256, 5, 2, 2);
  add_conv(rows, 64, 4, 256, 512, 5, 2, 2);
  add_conv(rows, 64, 32, 3, 128, 4, 2, 1);  // VAEGAN's encoder
  add_conv(rows, 64, 16, 128, 256, 4, 2, 1);
  add_conv(rows, 64, 8, 256, 512, 4, 2, 1);
  add_conv(rows, 64, 4, 512, 1024, 4, 2, 1);
  add_conv(rows, 4, 32, 128, 128, 3, 1, 1);  // VQGAN
  add_conv(rows, 4, 16, 256, 256, 3, 1, 1);
  add_conv(rows, 4, 32, 128, 3, 3, 1, 1);
  add_conv_transpose(rows, 64, 1, 128, 1024, 2, 1, 0);  // the generator
  add_conv_transpose(rows, 64, 2, 1024, 512, 4, 2, 1);
  add_conv_transpose(rows, 64, 4, 512, 256, 4, 2, 1);
  add_conv_transpose(rows, 64, 8, 256, 128, 4, 2, 1);
  add_conv_transpose(rows, 64, 16, 128, 3, 4, 2, 1);
  add_residual(rows, 4, 32, 128);
  add_residual(rows, 4, 16, 256);
  add_residual(rows, 4, 16, 512);

  const auto norm = [&](const char* op, const Shape& shape, const Function& f) {
    const Shape c{shape[-1]};
    add(rows, op, shape.str(), {shape, c, c}, 8.0 * double(shape.size()), 12.0 * double(shape.size()), f);
  };
  norm("group_norm + silu", {4, 32, 32, 128},
       [](const Tensors& x) { return group_norm(x[0], x[1], x[2], 32, 1e-6, Act::silu); });
  norm("layer_norm", {1024, 1024}, [](const Tensors& x) { return layer_norm(x[0], x[1], x[2], 1e-6); });
  norm("batch_norm + relu", {64, 16, 16, 128}, [](const Tensors& x) {
    Tensor mean = Tensor::zeros(x[1].shape()), var = Tensor::full(x[1].shape(), 1);
    return batch_norm(x[0], x[1], x[2], mean, var, true, 0.1, 1e-5, Act::relu);
  });

  const Shape flat{64, 16, 16, 256};
  const auto unary = [&](const char* op, double flops, const Function& f) {
    add(rows, op, flat.str(), {flat}, flops * double(flat.size()), 2 * flops * double(flat.size()), f);
  };
  unary("leaky_relu", 1, [](const Tensors& x) { return leaky_relu(x[0], 0.2); });
  unary("tanh", 10, [](const Tensors& x) { return tanh(x[0]); });
  unary("silu", 10, [](const Tensors& x) { return silu(x[0]); });
  unary("gelu", 20, [](const Tensors& x) { return gelu(x[0]); });
  unary("sum", 1, [](const Tensors& x) { return sum(x[0]); });
  unary("dropout", 10, [](const Tensors& x) { return dropout(x[0], 0.5, Key{2, 0, 1}); });
  unary("softmax", 12, [](const Tensors& x) { return softmax(x[0]); });
  add(rows, "add", flat.str(), {flat, flat}, double(flat.size()), 0,
      [](const Tensors& x) { return x[0] + x[1]; });
  add(rows, "mse_loss", flat.str(), {flat, flat}, 3.0 * double(flat.size()), 3.0 * double(flat.size()),
      [](const Tensors& x) { return mse_loss(x[0], x[1]); });
  add(rows, "upsample_nearest", "4x16x16x256 x2", {{4, 16, 16, 256}}, 0, 4.0 * 4 * 16 * 16 * 256,
      [](const Tensors& x) { return upsample_nearest(x[0], 2); });

  const Tensor index = Tensor::of(
      {16, 257},
      [] {
        std::vector<double> v(16 * 257);
        for (size_t i = 0; i < v.size(); ++i) v[i] = double(i * 7919 % 1024);
        return v;
      }(),
      Dtype::i64);
  add(rows, "embedding", "1024x1024, 16x257 tokens", {{1024, 1024}}, 0, 0,
      [=](const Tensors& x) { return embedding(x[0], index); });
  rows.push_back(adamw_row(8 << 20));
  return rows;
}

}  // namespace bench
