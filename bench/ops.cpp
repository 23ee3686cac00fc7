// Single ops over the shapes of our models, as the engine runs them.
#include <fmt/format.h>

#include "bench/bench.h"
#include "engine/dry_run.h"
#include "engine/nn.h"
#include "engine/optimizer.h"
#include "kernels/matmul/gemm.h"
#include "kernels/optim/optim.h"

namespace dae {

namespace bench {
namespace {

using Tensors = std::vector<Tensor>;
using Function = std::function<Tensor(const Tensors&)>;

uint32_t next_draw = 0;
Tensor drawn(const Shape& shape, Dtype dtype = Dtype::f32, Device device = Device::cpu) {
  return normal(shape, Key{1, 0, next_draw++}, dtype, device);
}

// The rows of one device and type. On the emulated device the sizes are reduced, so that the same code runs
// in a moment.
struct Rows {
  Device device;
  Dtype dtype;
  std::vector<Row> rows;

  int64_t cut(int64_t size, int64_t most) const {
    return device == Device::cuda && kCuda == CudaBuild::emulated ? std::min(size, most) : size;
  }
  // Vectors by channel (gains, biases) are in the wide type.
  Dtype type_of(const Shape& shape) const { return shape.rank() == 1 ? wide(dtype) : dtype; }
};

// Adds two rows: the forward alone, and the forward with the gradients of all inputs. The backward of a
// matrix product has twice the work of its forward.
void add(Rows& rows, const std::string& op, const std::string& shape, const std::vector<Shape>& inputs,
         double flops, double backward_flops, const Function& f) {
  const Device device = rows.device;
  std::vector<Dtype> types;
  for (const Shape& s : inputs) types.push_back(rows.type_of(s));
  double input_bytes = 0, output_bytes = 0;
  {
    const DryRun shapes_alone;
    const NoGrad off;
    Tensors x;
    for (size_t i = 0; i < inputs.size(); ++i) x.push_back(Tensor::zeros(inputs[i], types[i], device));
    for (const Tensor& t : x) input_bytes += double(t.bytes());
    output_bytes = double(f(x).bytes());
  }
  for (const bool backward : {false, true}) {
    Row row;
    row.op = op + (backward ? " fwd+bwd" : " fwd");
    row.shape = shape;
    row.device = device, row.dtype = rows.dtype;
    row.variant = device == Device::cpu ? "cpu" : variant_name("cuda", rows.dtype);
    row.captured = sets_for(device, input_bytes + output_bytes);
    row.flops = flops + (backward ? backward_flops : 0);
    row.fewer = op.find("conv") == 0 || op == "residual block" ? kWinograd : 1;
    // The backward reads the inputs and dy and writes a gradient for each input.
    row.bytes = input_bytes + output_bytes + (backward ? 2 * input_bytes + output_bytes : 0);
    row.prepare = [=]() -> std::function<void(int64_t)> {
      auto sets = std::make_shared<std::vector<Tensors>>();
      auto dy = std::make_shared<Tensors>();
      for (int64_t i = 0; i < sets_for(device, input_bytes + output_bytes); ++i) {
        Tensors x;
        for (size_t k = 0; k < inputs.size(); ++k) {
          x.push_back(drawn(inputs[k], types[k], device));
          if (backward) track(x.back());
        }
        if (backward) {
          NoGrad off;
          const Tensor y = f(x);
          dy->push_back(drawn(y.shape(), y.dtype(), device));
        }
        sets->push_back(std::move(x));
      }
      return [=](int64_t turn) {
        const size_t i = size_t(turn) % sets->size();
        const Tensor y = f((*sets)[i]);
        if (backward) grad(y, (*sets)[i], {false, (*dy)[i]});
      };
    };
    rows.rows.push_back(std::move(row));
  }
}

void add_conv(Rows& rows, int64_t n, int64_t side, int64_t in, int64_t out, int64_t k, int64_t stride,
              int64_t pad) {
  n = rows.cut(n, 2), side = rows.cut(side, 8), in = rows.cut(in, 8), out = rows.cut(out, 8);
  const int64_t o = (side + 2 * pad - k) / stride + 1;
  const double flops = 2.0 * double(n * o * o * out * k * k * in);
  add(rows, "conv2d", fmt::format("{}x{}x{}x{} k{} s{} -> {}", n, side, side, in, k, stride, out),
      {{n, side, side, in}, {out, k, k, in}}, flops, 2 * flops,
      [=](const Tensors& x) { return conv2d(x[0], x[1], {}, stride, pad); });
}
void add_conv_transpose(Rows& rows, int64_t n, int64_t side, int64_t in, int64_t out, int64_t k,
                        int64_t stride, int64_t pad) {
  n = rows.cut(n, 2), side = rows.cut(side, 4), in = rows.cut(in, 8), out = rows.cut(out, 8);
  const double flops = 2.0 * double(n * side * side * out * k * k * in);
  add(rows, "conv_transpose2d", fmt::format("{}x{}x{}x{} k{} s{} -> {}", n, side, side, in, k, stride, out),
      {{n, side, side, in}, {in, k, k, out}}, flops, 2 * flops,
      [=](const Tensors& x) { return conv_transpose2d(x[0], x[1], {}, stride, pad); });
}
void add_linear(Rows& rows, int64_t m, int64_t n, int64_t k) {
  m = rows.cut(m, 16), n = rows.cut(n, 16), k = rows.cut(k, 16);
  const double flops = 2.0 * double(m) * double(n) * double(k);
  add(rows, "linear", fmt::format("{}x{} -> {}", m, k, n), {{m, k}, {n, k}}, flops, 2 * flops,
      [](const Tensors& x) { return linear(x[0], x[1]); });
}

// The residual block of VQGAN and KL-f8, with 3x3 convolutions and 32 groups:
//   x + conv(silu(norm(conv(silu(norm(x))))))
void add_residual(Rows& rows, int64_t n, int64_t side, int64_t c) {
  n = rows.cut(n, 1), side = rows.cut(side, 4), c = rows.cut(c, 32);
  const double flops = 2 * 2.0 * double(n * side * side) * double(9 * c * c);
  const Shape image{n, side, side, c}, w{c, 3, 3, c}, b{c};
  add(rows, "residual block", fmt::format("{}x{}x{}x{}", n, side, side, c), {image, b, b, w, b, b, b, w, b},
      flops, 2 * flops, [](const Tensors& x) {
        const Tensor h = conv2d(group_norm(x[0], x[1], x[2], 32, 1e-6, Act::silu), x[3], x[4], 1, 1);
        return x[0] + conv2d(group_norm(h, x[5], x[6], 32, 1e-6, Act::silu), x[7], x[8], 1, 1);
      });
}

// Adds a product on one thread, one row for each of our matrix multiplications.
void add_gemm(Rows& rows, int64_t m, int64_t n, int64_t k, bool ta, bool tb) {
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
      for (int64_t i = 0; i < sets_for(Device::cpu, row.bytes); ++i)
        sets->push_back({Tensor({m, n}), drawn({m, k}), drawn({k, n})});
      return [=](int64_t turn) {
        const Tensors& t = (*sets)[size_t(turn) % sets->size()];
        f(t[0].data<float>(), t[1].data<float>(), t[2].data<float>(), m, n, k, ta, tb);
      };
    };
    rows.rows.push_back(std::move(row));
  };
  variant("tiled", [](float* y, const float* a, const float* b, int64_t m, int64_t n, int64_t k, bool ta,
                      bool tb) { gemm_tiled(y, n, a, ta ? m : k, b, tb ? k : n, m, n, k, ta, tb); });
#ifdef DAE_ONEDNN
  variant("oneDNN", [](float* y, const float* a, const float* b, int64_t m, int64_t n, int64_t k, bool ta,
                       bool tb) { gemm_onednn(y, n, a, ta ? m : k, b, tb ? k : n, m, n, k, ta, tb, 0); });
#endif
}

// Self-attention over a packed projection. With a causal mask only half of the products count. The backward
// has five products, the forward two.
void add_attention(Rows& rows, const std::string& label, int64_t batch, int64_t heads, int64_t tokens,
                   int64_t head_dim, bool causal) {
  batch = rows.cut(batch, 1), heads = rows.cut(heads, 2), tokens = rows.cut(tokens, 32);
  head_dim = rows.cut(head_dim, 32);
  const double flops = (causal ? 2.0 : 4.0) * double(batch * heads * tokens * tokens * head_dim);
  add(rows, "attention", fmt::format("{} {}x{}x{}x{}", label, batch, tokens, heads, head_dim),
      {{batch, tokens, 3 * heads * head_dim}}, flops, 2.5 * flops,
      [=](const Tensors& x) { return attention(x[0], {.heads = heads, .causal = causal}); });
}

// 36 bytes a parameter: four f32 arrays are read and written, the gradient is read.
Row adamw_row(int64_t n) {
  Row row;
  row.op = "adamw + ema";
  row.shape = fmt::format("{} parameters", n);
  row.variant = "cpu";
  row.flops = 15.0 * double(n);
  row.bytes = 36.0 * double(n);
  row.prepare = [=]() -> std::function<void(int64_t)> {
    auto sets = std::make_shared<std::vector<Tensors>>();
    for (int64_t i = 0; i < sets_for(Device::cpu, 20.0 * double(n)); ++i)
      sets->push_back({drawn({n}), drawn({n}), square(drawn({n})), drawn({n}), drawn({n})});
    return [=](int64_t turn) {
      const Tensors& t = (*sets)[size_t(turn) % sets->size()];
      adamw_step(Cpu{}, t[0].data<float>(), t[1].data<float>(), t[2].data<float>(), t[3].data<float>(),
                 t[4].data<float>(), n, AdamStep{1e-4, 0.9, 0.95, 1e-8, 0.01, true, turn + 1, 0.999});
    };
  };
  return row;
}

struct OneParameter : Module {
  OneParameter(const Build& build, int64_t n) : Module(build) { add_normal(weight, "weight", {n}, 0.1); }
  Param weight;
};

// AdamW as a training step calls it: the rates and the step lie on the device, and the 16-bit weights are
// written in the same pass.
Row adamw_row_on_cuda(int64_t n, Dtype dtype) {
  Row row;
  row.op = "adamw + ema";
  row.shape = fmt::format("{} parameters", n);
  row.variant = variant_name("cuda", dtype);
  row.dtype = dtype, row.device = Device::cuda;
  row.flops = 15.0 * double(n);
  row.bytes = (dtype == Dtype::f32 ? 36.0 : 38.0) * double(n);
  row.captured = sets_for(Device::cuda, 20.0 * double(n));
  row.prepare = [=, sets = row.captured]() -> std::function<void(int64_t)> {
    struct Set {
      std::unique_ptr<OneParameter> net;
      std::unique_ptr<AdamW> optimizer;
      Tensor gradient;
    };
    auto all = std::make_shared<std::vector<Set>>();
    for (int64_t i = 0; i < sets; ++i) {
      Rng init{uint64_t(i)};
      Set set{std::make_unique<OneParameter>(Build{dtype, &init, Device::cuda}, n),
              std::make_unique<AdamW>(AdamOptions{.ema = 0.999}), drawn({n}, Dtype::f32, Device::cuda)};
      set.net->weight.in(dtype);
      set.optimizer->add_group({.name = "all", .params = set.net->params(), .lr = 1e-4});
      all->push_back(std::move(set));
    }
    return [=](int64_t turn) {
      const Set& set = (*all)[size_t(turn) % all->size()];
      set.net->weight.grad = set.gradient;
      set.optimizer->step();
    };
  };
  return row;
}

}  // namespace

std::vector<Row> op_rows(Device device, Dtype dtype) {
  Rows rows{device, dtype, {}};
  if (device == Device::cpu) {
    for (const bool tb : {false, true})
      for (const bool ta : {false, true}) add_gemm(rows, 256, 1024, 1024, ta, tb);
    add_gemm(rows, 1024, 512, 2048, false, false);
  }

  add_linear(rows, 1024, 3072, 1024);  // DiT-L: qkv of 16 images of 64 tokens
  add_linear(rows, 1024, 4096, 1024);
  add_linear(rows, 128, 1, 2048);   // the discriminator's head
  add_linear(rows, 128, 128, 128);  // the toy VAE
  const int64_t batch = rows.cut(32, 2), tokens = rows.cut(256, 16), depth = rows.cut(64, 16);
  const double product = 2.0 * double(batch * tokens * tokens * depth);
  add(rows, "matmul", fmt::format("{0}x{1}x{2} x {2}x{1}", batch, tokens, depth),
      {{batch, tokens, depth}, {batch, tokens, depth}}, product, 2 * product,
      [](const Tensors& x) { return matmul(x[0], x[1], false, true); });

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

  add_attention(rows, "prior", 2, 16, 256, 64, true);
  add_attention(rows, "DiT-L/4", 16, 16, 64, 64, false);
  add_attention(rows, "VQGAN", 2, 1, 256, 512, false);
  add_attention(rows, "KL-f8", 1, 1, 1024, 512, false);

  const auto norm = [&](const char* op, const Shape& shape, const Function& f) {
    const Shape c{shape[-1]};
    add(rows, op, shape.str(), {shape, c, c}, 8.0 * double(shape.size()), 12.0 * double(shape.size()), f);
  };
  norm("group_norm + silu", {rows.cut(4, 2), rows.cut(32, 4), rows.cut(32, 4), rows.cut(128, 32)},
       [](const Tensors& x) { return group_norm(x[0], x[1], x[2], 32, 1e-6, Act::silu); });
  norm("layer_norm", {rows.cut(1024, 8), rows.cut(1024, 64)},
       [](const Tensors& x) { return layer_norm(x[0], x[1], x[2], 1e-6); });
  {  // DiT-L: 16 images of 64 tokens
    const Shape x{rows.cut(16, 2), rows.cut(64, 4), rows.cut(1024, 64)}, by{x[0], x[2]};
    add(rows, "modulated_norm", x.str(), {x, by, by}, 8.0 * double(x.size()), 12.0 * double(x.size()),
        [](const Tensors& t) { return modulated_norm(t[0], t[1], t[2], 1e-6); });
  }
  norm("batch_norm + relu", {rows.cut(64, 2), rows.cut(16, 4), rows.cut(16, 4), rows.cut(128, 32)},
       [](const Tensors& x) {
         const Device where = x[0].device();
         Tensor mean = Tensor::zeros(x[1].shape(), Dtype::f32, where),
                var = Tensor::full(x[1].shape(), 1, Dtype::f32, where);
         return batch_norm(x[0], x[1], x[2], mean, var, true, 0.1, 1e-5, Act::relu);
       });

  const Shape flat{rows.cut(64, 2), rows.cut(16, 4), rows.cut(16, 4), rows.cut(256, 32)};
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
  const Shape small{rows.cut(4, 1), rows.cut(16, 4), rows.cut(16, 4), rows.cut(256, 16)};
  add(rows, "upsample_nearest", fmt::format("{}x{}x{}x{} x2", small[0], small[1], small[2], small[3]),
      {small}, 0, 4.0 * double(small.size()), [](const Tensors& x) { return upsample_nearest(x[0], 2); });

  const int64_t entries = rows.cut(1024, 32), width = rows.cut(1024, 32), length = rows.cut(257, 5);
  std::vector<double> ids(size_t(16 * length));
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = double(int64_t(i * 7919) % entries);
  const Tensor index = Tensor::of({16, length}, ids, Dtype::i64).to(device);
  add(rows, "embedding", fmt::format("{}x{}, 16x{} tokens", entries, width, length), {{entries, width}}, 0, 0,
      [=](const Tensors& x) { return embedding(x[0], index); });
  const int64_t parameters = rows.cut(8 << 20, 1000);
  rows.rows.push_back(device == Device::cpu ? adamw_row(parameters) : adamw_row_on_cuda(parameters, dtype));
  return rows.rows;
}

}  // namespace bench

}  // namespace dae
