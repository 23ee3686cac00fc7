// The heavy kernels on CUDA: every variant over the shapes of our models. Also the ceiling of the device: the
// throughput of the fastest variant and the bandwidth of a copy.
#include <fmt/format.h>

#include <algorithm>

#include "bench/bench.h"
#include "engine/ops.h"
#include "kernels/device/error.h"
#include "kernels/device/gpu.h"
#include "kernels/variants.h"

namespace dae {

namespace bench {
namespace {

constexpr bool kTiny = kCuda == CudaBuild::emulated;
int64_t cut(int64_t size, int64_t most) { return kTiny ? std::min(size, most) : size; }

uint32_t next_draw = 0;
Tensor drawn(const Shape& shape, Dtype dtype) {
  return normal(shape, Key{4, 0, next_draw++}, dtype, Device::cuda);
}
template <class T>
T* data(const Tensor& t) {
  return static_cast<T*>(t.raw());
}

using Tensors = std::vector<Tensor>;

// Returns a row with as many sets of tensors as fill the footprint. make() returns one set, with its outputs.
template <class Make, class Run>
Row row(const std::string& op, const std::string& shape, const char* variant, Dtype dtype, double flops,
        double bytes, Make make, Run run) {
  Row r;
  r.op = op, r.shape = shape, r.variant = variant_name(variant, dtype);
  r.flops = flops, r.bytes = bytes;
  r.device = Device::cuda, r.dtype = dtype;
  r.captured = sets_for(Device::cuda, bytes);
  r.prepare = [=, count = r.captured]() -> std::function<void(int64_t)> {
    auto sets = std::make_shared<std::vector<Tensors>>();
    for (int64_t i = 0; i < count; ++i) sets->push_back(make());
    return [=](int64_t turn) { run((*sets)[size_t(turn) % sets->size()]); };
  };
  return r;
}

template <class T>
struct Kernels {
  std::vector<Row> rows;
  const Cuda where{gpu_stream()};
  static constexpr Dtype dtype = dtype_of<T>();
  static constexpr double size = sizeof(T);

  void matmul(const std::string& label, int64_t m, int64_t n, int64_t k, bool ta, bool tb) {
    m = cut(m, 24), n = cut(n, 40), k = cut(k, 48);
    const MatmulShape s{1, m, n, k, ta, tb};
    const T* none = nullptr;
    for (const MatmulVariant v : kMatmulVariants) {
      if (!matmul_takes(v, where, none, none, s)) continue;
      rows.push_back(row(
          fmt::format("matmul {}{}", ta ? "T" : "N", tb ? "T" : "N"),
          fmt::format("{} {}x{}x{}", label, m, n, k), name(v), dtype, 2.0 * double(m) * double(n) * double(k),
          size * double(m * k + k * n + m * n),
          [=] {
            return Tensors{Tensor({m, n}, dtype, Device::cuda), drawn({m, k}, dtype), drawn({k, n}, dtype)};
          },
          [=, where = where](const Tensors& t) {
            matmul_by(v, where, data<T>(t[0]), data<T>(t[1]), data<T>(t[2]), s, 0);
          }));
    }
  }
  // A linear layer and its two gradients: y = x w^T, dx = dy w, dw = dy^T x.
  void linear(const std::string& label, int64_t rows_of_x, int64_t out, int64_t in) {
    matmul(label, rows_of_x, out, in, false, true);
    matmul(label, rows_of_x, in, out, false, false);
    matmul(label, out, in, rows_of_x, true, false);
  }

  void conv(const std::string& label, int64_t n, int64_t side, int64_t ci, int64_t co, int64_t k,
            int64_t stride, int64_t pad, bool transposed = false) {
    n = cut(n, 1), side = cut(side, 8), ci = cut(ci, 16), co = cut(co, 16);
    // The forward of a transposed convolution is the gradient of this convolution's input.
    if (transposed) side *= stride, std::swap(ci, co);
    const ConvShape s{n, side, side, ci, co, k, k, stride, pad, pad, pad, pad};
    const int64_t o = s.oh();
    const Shape image{n, side, side, ci}, result{n, o, o, co}, weight{co, k, k, ci};
    const double bytes = size * double(image.size() + result.size() + weight.size());
    const double flops = 2.0 * double(n * o * o * co) * double(k * k * ci);
    const T* none = nullptr;
    for (const ConvPass pass : kConvPasses)
      for (const ConvVariant v : kConvVariants) {
        if (!conv_takes(v, pass, where, none, none, s)) continue;
        const auto make = [=] {
          switch (pass) {
            case ConvPass::forward:
              return Tensors{Tensor(result, dtype, Device::cuda), drawn(image, dtype), drawn(weight, dtype)};
            case ConvPass::backward_input:
              return Tensors{Tensor(image, dtype, Device::cuda), drawn(result, dtype), drawn(weight, dtype)};
            default:
              return Tensors{Tensor(weight, wide(dtype), Device::cuda), drawn(result, dtype),
                             drawn(image, dtype)};
          }
        };
        const auto run = [=, where = where](const Tensors& t) {
          if (pass == ConvPass::forward)
            conv_forward_by<T>(v, where, data<T>(t[0]), data<T>(t[1]), data<T>(t[2]), nullptr, s);
          else if (pass == ConvPass::backward_input)
            conv_backward_input_by<T>(v, where, data<T>(t[0]), data<T>(t[1]), data<T>(t[2]), s);
          else conv_backward_weight_by<T>(v, where, data<float>(t[0]), data<T>(t[1]), data<T>(t[2]), s);
        };
        rows.push_back(
            row(fmt::format("conv {}", name(pass)),
                fmt::format("{} {}x{}x{}x{} k{} s{} -> {}", label, n, side, side, ci, k, stride, co), name(v),
                dtype, flops, bytes, make, run));
      }
  }

  // Self-attention over a packed projection (batch, tokens, 3, heads, head_dim).
  void attention(const std::string& label, int64_t batch, int64_t heads, int64_t tokens, int64_t head_dim,
                 bool causal) {
    batch = cut(batch, 1), heads = cut(heads, 1), tokens = cut(tokens, 24);
    const int64_t width = heads * head_dim;
    const AttentionShape s{batch, heads, tokens, tokens, head_dim, 3 * width, 3 * width, causal};
    const Shape packed{batch, tokens, 3 * width}, y{batch, tokens, width};
    double pairs = 0;  // how many pairs of a query and a key that it sees
    for (int64_t i = 0; i < tokens; ++i) pairs += double(s.visible(i));
    const double flops = 4.0 * double(batch * width) * pairs;
    for (const bool backward : {false, true})
      for (const AttentionVariant v : kAttentionVariants) {
        if (!(backward ? attention_takes(v, where, AttentionBackward<T>{.shape = s})
                       : attention_takes(v, where, AttentionForward<T>{.shape = s})))
          continue;
        rows.push_back(row(
            backward ? "attention backward" : "attention forward",
            fmt::format("{} {}x{}x{}x{}{}", label, batch, heads, tokens, head_dim, causal ? " causal" : ""),
            name(v), dtype, backward ? 2.5 * flops : flops,  // backward: five products; forward: two
            size * double(packed.size() + y.size()) * (backward ? 2 : 1),
            [=, where = where] {
              Tensors t{Tensor(y, dtype, Device::cuda),
                        Tensor({batch, heads, tokens}, Dtype::f32, Device::cuda), drawn(packed, dtype)};
              if (!backward) return t;
              const T* qkv = data<T>(t[2]);
              attention_forward(where, data<T>(t[0]), data<float>(t[1]), qkv, qkv + width, qkv + 2 * width,
                                s);
              t.push_back(drawn(y, dtype)), t.push_back(Tensor(packed, dtype, Device::cuda));
              return t;
            },
            [=, where = where](const Tensors& t) {
              const T* q = data<T>(t[2]);
              if (!backward) {
                attention_by(
                    v, where,
                    AttentionForward<T>{data<T>(t[0]), data<float>(t[1]), q, q + width, q + 2 * width, s});
              } else {
                T* dq = data<T>(t[4]);
                attention_by(
                    v, where,
                    AttentionBackward<T>{dq, dq + width, dq + 2 * width, data<T>(t[3]), data<T>(t[0]),
                                         data<float>(t[1]), q, q + width, q + 2 * width, s});
              }
            }));
      }
  }

  void nearest(const std::string& label, int64_t count, int64_t codes, int64_t channels) {
    count = cut(count, 40), codes = cut(codes, 48), channels = cut(channels, 32);
    const NearestShape s{count, codes, channels};
    for (const NearestVariant v : kNearestVariants)
      rows.push_back(row(
          "nearest code", fmt::format("{} {}x{} of {}", label, count, channels, codes), name(v), dtype,
          2.0 * double(count) * double(codes) * double(channels),
          size * double(count * channels) + 4.0 * double(codes * channels) + 8.0 * double(count),
          [=] {
            return Tensors{Tensor({count}, Dtype::i64, Device::cuda), drawn({count, channels}, dtype),
                           drawn({codes, channels}, Dtype::f32)};
          },
          [=, where = where](const Tensors& t) {
            nearest_code_by(v, where, data<int64_t>(t[0]), data<T>(t[1]), data<float>(t[2]), s);
          }));
  }
};

template <class T>
std::vector<Row> rows_of() {
  Kernels<T> k;
  // 256 images of 64 tokens; 16 sequences of 256 tokens with width 1024 and 1664; the widest layers of DCGAN.
  k.linear("DiT-L/4 qkv", 16384, 3072, 1024);
  k.linear("DiT-L/4 proj", 16384, 1024, 1024);
  k.linear("DiT-L/4 fc1", 16384, 4096, 1024);
  k.linear("DiT-L/4 fc2", 16384, 1024, 4096);
  k.linear("prior fc1", 4096, 4096, 1024);
  k.linear("wide prior fc1", 4096, 6656, 1664);
  k.linear("DCGAN head", 128, 1, 2048);

  k.conv("VQGAN", 8, 256, 3, 128, 3, 1, 1);
  k.conv("VQGAN", 8, 256, 128, 128, 3, 1, 1);
  k.conv("VQGAN", 8, 64, 256, 256, 3, 1, 1);
  k.conv("VQGAN", 8, 16, 512, 512, 3, 1, 1);
  k.conv("VQGAN", 8, 16, 512, 512, 1, 1, 0);
  k.conv("VQGAN", 8, 256, 128, 3, 3, 1, 1);
  k.conv("VQGAN disc", 8, 128, 64, 128, 4, 2, 1);
  k.conv("KL-f8", 8, 64, 512, 512, 3, 1, 1);
  k.conv("KL-f8", 8, 128, 256, 512, 3, 1, 1);
  k.conv("DCGAN disc", 128, 32, 3, 64, 5, 2, 2);
  k.conv("DCGAN disc", 128, 16, 64, 128, 5, 2, 2);
  k.conv("DCGAN disc", 128, 8, 128, 256, 5, 2, 2);
  k.conv("DCGAN disc", 128, 4, 256, 512, 5, 2, 2);
  k.conv("DCGAN gen", 128, 2, 1024, 512, 4, 2, 1, true);
  k.conv("DCGAN gen", 128, 4, 512, 256, 4, 2, 1, true);
  k.conv("DCGAN gen", 128, 8, 256, 128, 4, 2, 1, true);
  k.conv("DCGAN gen", 128, 16, 128, 3, 4, 2, 1, true);

  k.attention("DiT-L/4", 256, 16, 64, 64, false);
  k.attention("DiT-XL", 256, 16, 64, 72, false);
  k.attention("prior", 16, 16, 256, 64, true);
  k.attention("wide prior", 16, 16, 256, 104, true);
  k.attention("VQGAN", 8, 1, 256, 512, false);
  k.attention("KL-f8", 8, 1, 1024, 512, false);

  k.nearest("VQGAN batch 8", 2048, 1024, 256);
  k.nearest("VQGAN batch 256", 65536, 1024, 256);
  return std::move(k.rows);
}

// Returns the FLOP/s of the fastest variant of a large product. The numbers are random: with zeros the device
// is faster.
template <class T>
double fastest_product() {
  Kernels<T> k;
  k.matmul("ceiling", 4096, 4096, 4096, false, true);
  double best = 0;
  for (const Row& r : k.rows) {
    if (r.variant.starts_with("naive")) continue;
    const auto run = r.prepare();
    best = std::max(best, r.flops / time_gpu(run, kTiny ? 0 : 0.3).median);
  }
  return best;
}

}  // namespace

Timing time_gpu(const std::function<void(int64_t)>& run, double seconds) {
  if constexpr (kHasCuda)
    return repeat([&](int64_t turn) { return gpu_seconds([&] { run(turn); }); }, seconds);
  fail(Fault::internal, "bench: this build has no CUDA");
}

int64_t sets_for(Device device, double bytes) {
  return std::clamp<int64_t>(int64_t((device == Device::cpu ? kFootprint : kGpuFootprint) / bytes), 2, 64);
}
std::string variant_name(const std::string& variant, Dtype dtype) { return variant + ' ' + dae::name(dtype); }

std::vector<Row> kernel_rows(Dtype dtype) {
  if constexpr (kHasCuda) {
    if (dtype == Dtype::f32) return rows_of<float>();
    if (dtype == Dtype::bf16) return rows_of<bf16>();
    if (dtype == Dtype::f16) return rows_of<f16>();
  }
  return {};
}

Ceiling measure_gpu_ceiling() {
  Ceiling c;
  if constexpr (kHasCuda) {
    const int64_t bytes = kTiny ? 1 << 20 : 1 << 28;
    const Tensor from = Tensor::full({bytes / 4}, 1.5, Dtype::f32, Device::cuda),
                 to = Tensor::full({bytes / 4}, 0.5, Dtype::f32, Device::cuda);
    const Timing copy =
        time_gpu([&](int64_t) { gpu_copy(to.raw(), from.raw(), size_t(bytes)); }, kTiny ? 0 : 0.3);
    c.bytes = 2 * double(bytes) / copy.median;
    c.flops = fastest_product<float>();
    c.flops16 = fastest_product<bf16>();
  }
  return c;
}

}  // namespace bench

}  // namespace dae
