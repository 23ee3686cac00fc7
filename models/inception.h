// Inception v3 (Szegedy et al. 2016) as FID uses it: the TensorFlow network of 2015-12-05 with 1008 outputs.
// The parameters have the names of pytorch-fid. The pools differ from the published network: averages do not
// count the padding, and the last block has a maximum.
#pragma once
#include <array>

#include "engine/nn.h"

namespace dae {

// The outputs of the network, in the order in which they are computed.
//   pool64, pool192   (N, 64), (N, 192): the mean over all positions after the first and the second max pool
//   spatial           (N, 2023): the first 7 channels of Mixed_6d.branch1x1, (row, column, channel), for sFID
//   pool768           (N, 768): the mean over all positions after Mixed_6e
//   pool1280          (N, 1280): the mean over all positions after Mixed_7a
//   pool2048          (N, 2048): the mean over all positions after Mixed_7c
//   unbiased          (N, 1008): the logits without fc.bias
//   logits            (N, 1008)
enum class InceptionLayer { pool64, pool192, spatial, pool768, pool1280, pool2048, unbiased, logits };
inline constexpr int kInceptionLayers = 8;
inline constexpr std::array<int64_t, kInceptionLayers> kInceptionWidths = {64,   192,  2023, 768,
                                                                           1280, 2048, 1008, 1008};
inline constexpr int64_t kInceptionSide = 299;  // the height and width of its images

// A convolution without bias, batch norm with eps 1e-3, ReLU.
struct BasicConv : Module {
  BasicConv(Module* parent, const std::string& name, int64_t in, int64_t out, Kernel kernel,
            int64_t stride = 1, Pad pad = 0)
      : Module(parent, name),
        conv(this, "conv", in, out, kernel, stride, pad, false),
        bn(this, "bn", out, 1e-3) {}
  Tensor operator()(const Tensor& x) {
    if (!bias) return bn(conv(x), Act::relu);
    return relu(conv2d(x, conv.weight.in(x.dtype()), bias, conv.stride, conv.pad));
  }
  // Folds the batch norm, in eval mode, into the weight and a bias. Its own parameters are not read
  // afterwards.
  void fold() {
    const auto gain = bn.weight.value.values(), shift = bn.bias.value.values(),
               mean = bn.running_mean.value.values(), var = bn.running_var.value.values();
    std::vector<double> weight = conv.weight.value.values(), b(gain.size());
    const size_t row = weight.size() / gain.size();
    for (size_t o = 0; o < gain.size(); ++o) {
      const double factor = gain[o] / std::sqrt(var[o] + bn.eps);
      for (size_t i = o * row; i < (o + 1) * row; ++i) weight[i] *= factor;
      b[o] = shift[o] - mean[o] * factor;
    }
    const Tensor& w = conv.weight.value;
    conv.weight.value.copy_from(Tensor::of(w.shape(), weight, w.dtype()));
    conv.weight.changed();
    bias = Tensor::of({int64_t(b.size())}, b, w.dtype()).to(w.device());
  }
  Conv2d conv;
  BatchNorm bn;
  Tensor bias;  // no tensor before fold()
};

inline Tensor average3(const Tensor& x) { return avg_pool(x, 3, 1, 1, false); }

// (N, 35, 35, in) -> (N, 35, 35, 224 + pool)
struct InceptionA : Module {
  InceptionA(Module* parent, const std::string& name, int64_t in, int64_t pool)
      : Module(parent, name),
        branch1x1(this, "branch1x1", in, 64, 1),
        branch5x5_1(this, "branch5x5_1", in, 48, 1),
        branch3x3dbl_1(this, "branch3x3dbl_1", in, 64, 1),
        branch_pool(this, "branch_pool", in, pool, 1) {}
  Tensor operator()(const Tensor& x) {
    return concat({branch1x1(x), branch5x5_2(branch5x5_1(x)),
                   branch3x3dbl_3(branch3x3dbl_2(branch3x3dbl_1(x))), branch_pool(average3(x))},
                  3);
  }
  BasicConv branch1x1, branch5x5_1, branch3x3dbl_1, branch_pool;
  BasicConv branch5x5_2{this, "branch5x5_2", 48, 64, 5, 1, 2};
  BasicConv branch3x3dbl_2{this, "branch3x3dbl_2", 64, 96, 3, 1, 1};
  BasicConv branch3x3dbl_3{this, "branch3x3dbl_3", 96, 96, 3, 1, 1};
};

// (N, 35, 35, 288) -> (N, 17, 17, 768)
struct InceptionB : Module {
  using Module::Module;
  Tensor operator()(const Tensor& x) {
    return concat({branch3x3(x), branch3x3dbl_3(branch3x3dbl_2(branch3x3dbl_1(x))), max_pool(x, 3, 2, 0)}, 3);
  }
  BasicConv branch3x3{this, "branch3x3", 288, 384, 3, 2};
  BasicConv branch3x3dbl_1{this, "branch3x3dbl_1", 288, 64, 1};
  BasicConv branch3x3dbl_2{this, "branch3x3dbl_2", 64, 96, 3, 1, 1};
  BasicConv branch3x3dbl_3{this, "branch3x3dbl_3", 96, 96, 3, 2};
};

// A 7x7 convolution is factored into a 1x7 and a 7x1 convolution.
inline const Kernel kRow7{1, 7}, kColumn7{7, 1};
inline const Pad kPadRow7{0, 3, 0, 3}, kPadColumn7{3, 0, 3, 0};

// (N, 17, 17, 768) -> (N, 17, 17, 768); c7 channels between the 1x7 and the 7x1 convolutions.
struct InceptionC : Module {
  InceptionC(Module* parent, const std::string& name, int64_t c7)
      : Module(parent, name),
        branch7x7_1(this, "branch7x7_1", 768, c7, 1),
        branch7x7_2(this, "branch7x7_2", c7, c7, kRow7, 1, kPadRow7),
        branch7x7_3(this, "branch7x7_3", c7, 192, kColumn7, 1, kPadColumn7),
        branch7x7dbl_1(this, "branch7x7dbl_1", 768, c7, 1),
        branch7x7dbl_2(this, "branch7x7dbl_2", c7, c7, kColumn7, 1, kPadColumn7),
        branch7x7dbl_3(this, "branch7x7dbl_3", c7, c7, kRow7, 1, kPadRow7),
        branch7x7dbl_4(this, "branch7x7dbl_4", c7, c7, kColumn7, 1, kPadColumn7),
        branch7x7dbl_5(this, "branch7x7dbl_5", c7, 192, kRow7, 1, kPadRow7) {}
  // first: branch1x1(x), which the caller has already computed.
  Tensor operator()(const Tensor& x, const Tensor& first) {
    return concat({first, branch7x7_3(branch7x7_2(branch7x7_1(x))),
                   branch7x7dbl_5(branch7x7dbl_4(branch7x7dbl_3(branch7x7dbl_2(branch7x7dbl_1(x))))),
                   branch_pool(average3(x))},
                  3);
  }
  Tensor operator()(const Tensor& x) { return (*this)(x, branch1x1(x)); }
  BasicConv branch1x1{this, "branch1x1", 768, 192, 1};
  BasicConv branch7x7_1, branch7x7_2, branch7x7_3;
  BasicConv branch7x7dbl_1, branch7x7dbl_2, branch7x7dbl_3, branch7x7dbl_4, branch7x7dbl_5;
  BasicConv branch_pool{this, "branch_pool", 768, 192, 1};
};

// (N, 17, 17, 768) -> (N, 8, 8, 1280)
struct InceptionD : Module {
  using Module::Module;
  Tensor operator()(const Tensor& x) {
    return concat({branch3x3_2(branch3x3_1(x)), branch7x7x3_4(branch7x7x3_3(branch7x7x3_2(branch7x7x3_1(x)))),
                   max_pool(x, 3, 2, 0)},
                  3);
  }
  BasicConv branch3x3_1{this, "branch3x3_1", 768, 192, 1};
  BasicConv branch3x3_2{this, "branch3x3_2", 192, 320, 3, 2};
  BasicConv branch7x7x3_1{this, "branch7x7x3_1", 768, 192, 1};
  BasicConv branch7x7x3_2{this, "branch7x7x3_2", 192, 192, kRow7, 1, kPadRow7};
  BasicConv branch7x7x3_3{this, "branch7x7x3_3", 192, 192, kColumn7, 1, kPadColumn7};
  BasicConv branch7x7x3_4{this, "branch7x7x3_4", 192, 192, 3, 2};
};

// (N, 8, 8, in) -> (N, 8, 8, 2048)
struct InceptionE : Module {
  InceptionE(Module* parent, const std::string& name, int64_t in, bool maximum)
      : Module(parent, name),
        maximum(maximum),
        branch1x1(this, "branch1x1", in, 320, 1),
        branch3x3_1(this, "branch3x3_1", in, 384, 1),
        branch3x3dbl_1(this, "branch3x3dbl_1", in, 448, 1),
        branch_pool(this, "branch_pool", in, 192, 1) {}
  Tensor operator()(const Tensor& x) {
    const Tensor once = branch3x3_1(x), twice = branch3x3dbl_2(branch3x3dbl_1(x));
    return concat({branch1x1(x), branch3x3_2a(once), branch3x3_2b(once), branch3x3dbl_3a(twice),
                   branch3x3dbl_3b(twice), branch_pool(maximum ? max_pool(x, 3, 1, 1) : average3(x))},
                  3);
  }
  bool maximum;  // the pool takes the maximum (Mixed_7c) or the mean
  BasicConv branch1x1, branch3x3_1, branch3x3dbl_1, branch_pool;
  BasicConv branch3x3_2a{this, "branch3x3_2a", 384, 384, {1, 3}, 1, {0, 1, 0, 1}};
  BasicConv branch3x3_2b{this, "branch3x3_2b", 384, 384, {3, 1}, 1, {1, 0, 1, 0}};
  BasicConv branch3x3dbl_2{this, "branch3x3dbl_2", 448, 384, 3, 1, 1};
  BasicConv branch3x3dbl_3a{this, "branch3x3dbl_3a", 384, 384, {1, 3}, 1, {0, 1, 0, 1}};
  BasicConv branch3x3dbl_3b{this, "branch3x3dbl_3b", 384, 384, {3, 1}, 1, {1, 0, 1, 0}};
};

struct Inception : Module {
  explicit Inception(const Build& build) : Module(build) {}

  // Returns the outputs up to `last`, by InceptionLayer; the entries after it are empty and not computed.
  // images: (N, 299, 299, 3) in about [-1, 1].
  std::array<Tensor, kInceptionLayers> operator()(const Tensor& images, InceptionLayer last) {
    std::array<Tensor, kInceptionLayers> out;
    const auto take = [&](InceptionLayer layer, const Tensor& value) {
      out[size_t(layer)] = value;
      return layer == last;
    };
    Tensor x = max_pool(conv_2b(conv_2a(conv_1a(images))), 3, 2, 0);
    if (take(InceptionLayer::pool64, global_avg_pool(x))) return out;
    x = max_pool(conv_4a(conv_3b(x)), 3, 2, 0);
    if (take(InceptionLayer::pool192, global_avg_pool(x))) return out;
    x = mixed_6c(mixed_6b(mixed_6a(mixed_5d(mixed_5c(mixed_5b(x))))));
    const Tensor first = mixed_6d.branch1x1(x);
    if (take(InceptionLayer::spatial, reshape(slice(first, 3, 0, 7), {x.dim(0), -1}))) return out;
    x = mixed_6e(mixed_6d(x, first));
    if (take(InceptionLayer::pool768, global_avg_pool(x))) return out;
    x = mixed_7a(x);
    if (take(InceptionLayer::pool1280, global_avg_pool(x))) return out;
    x = global_avg_pool(mixed_7c(mixed_7b(x)));
    if (take(InceptionLayer::pool2048, x)) return out;
    x = linear(x, fc.weight.in(x.dtype()));
    if (take(InceptionLayer::unbiased, x)) return out;
    take(InceptionLayer::logits, add_bias(x, fc.bias.value));
    return out;
  }

  void fold() {  // folds every batch norm; call it once, after the weights were loaded
    for (Module* module : modules())
      if (auto* conv = dynamic_cast<BasicConv*>(module)) conv->fold();
  }

  BasicConv conv_1a{this, "Conv2d_1a_3x3", 3, 32, 3, 2}, conv_2a{this, "Conv2d_2a_3x3", 32, 32, 3},
      conv_2b{this, "Conv2d_2b_3x3", 32, 64, 3, 1, 1}, conv_3b{this, "Conv2d_3b_1x1", 64, 80, 1},
      conv_4a{this, "Conv2d_4a_3x3", 80, 192, 3};
  InceptionA mixed_5b{this, "Mixed_5b", 192, 32}, mixed_5c{this, "Mixed_5c", 256, 64},
      mixed_5d{this, "Mixed_5d", 288, 64};
  InceptionB mixed_6a{this, "Mixed_6a"};
  InceptionC mixed_6b{this, "Mixed_6b", 128}, mixed_6c{this, "Mixed_6c", 160},
      mixed_6d{this, "Mixed_6d", 160}, mixed_6e{this, "Mixed_6e", 192};
  InceptionD mixed_7a{this, "Mixed_7a"};
  InceptionE mixed_7b{this, "Mixed_7b", 1280, false}, mixed_7c{this, "Mixed_7c", 2048, true};
  Linear fc{this, "fc", 2048, 1008};
};

}  // namespace dae
