// LPIPS 0.1 (Zhang et al. 2018), a perceptual distance of two images: the squared distance of the
// unit-normalised activations of a classifier (VGG16, AlexNet or SqueezeNet 1.1), weighted by learned heads
// and summed over the layers. It is differentiable with respect to both images.
#pragma once
#include <deque>
#include <memory>

#include "engine/nn.h"

namespace dae {

// Returns the activations that are compared, from fine to coarse. The parameters have torchvision's names:
// features.0, features.3, ...
struct LpipsTrunk : Module {
  using Module::Module;
  std::vector<int64_t> channels;  // the channels of each of the activations
  virtual std::vector<Tensor> operator()(Tensor x) const = 0;
};

struct Vgg16Trunk : LpipsTrunk {
  explicit Vgg16Trunk(Module* parent) : LpipsTrunk(parent, "features") {
    channels = {64, 128, 256, 512, 512};
    int64_t in = 3, index = 0;
    for (size_t block = 0; block < 5; ++block, ++index)
      for (int i = 0; i < kConvs[block]; ++i, index += 2)  // ReLUs and pools count in torchvision's numbers
        convs.emplace_back(this, std::to_string(index), in, channels[block], 3, 1, 1), in = channels[block];
  }
  std::vector<Tensor> operator()(Tensor x) const override {
    std::vector<Tensor> out;
    auto conv = convs.begin();
    for (size_t block = 0; block < 5; ++block) {
      if (block) x = max_pool(x, 2, 2, 0);
      for (int i = 0; i < kConvs[block]; ++i) x = relu((*conv++)(x));
      out.push_back(x);
    }
    return out;
  }
  static constexpr int kConvs[5] = {2, 2, 3, 3, 3};
  std::deque<Conv2d> convs;
};

struct AlexNetTrunk : LpipsTrunk {
  explicit AlexNetTrunk(Module* parent) : LpipsTrunk(parent, "features") {
    channels = {64, 192, 384, 256, 256};
  }
  std::vector<Tensor> operator()(Tensor x) const override {
    std::vector<Tensor> out = {relu(conv0(x))};
    out.push_back(relu(conv3(max_pool(out.back(), 3, 2, 0))));
    out.push_back(relu(conv6(max_pool(out.back(), 3, 2, 0))));
    out.push_back(relu(conv8(out.back())));
    out.push_back(relu(conv10(out.back())));
    return out;
  }
  Conv2d conv0{this, "0", 3, 64, 11, 4, 2}, conv3{this, "3", 64, 192, 5, 1, 2},
      conv6{this, "6", 192, 384, 3, 1, 1}, conv8{this, "8", 384, 256, 3, 1, 1},
      conv10{this, "10", 256, 256, 3, 1, 1};
};

// SqueezeNet's module: (N, H, W, in) -> (N, H, W, 2 out). A 1x1 convolution makes `few` channels; from these
// a 1x1 and a 3x3 convolution make `out` channels each.
struct Fire : Module {
  Fire(Module* parent, const std::string& name, int64_t in, int64_t few, int64_t out)
      : Module(parent, name),
        squeeze(this, "squeeze", in, few, 1, 1, 0),
        expand1x1(this, "expand1x1", few, out, 1, 1, 0),
        expand3x3(this, "expand3x3", few, out, 3, 1, 1) {}
  Tensor operator()(const Tensor& x) const {
    const Tensor h = relu(squeeze(x));
    return relu(concat({expand1x1(h), expand3x3(h)}, 3));
  }
  Conv2d squeeze, expand1x1, expand3x3;
};

struct SqueezeNetTrunk : LpipsTrunk {
  explicit SqueezeNetTrunk(Module* parent) : LpipsTrunk(parent, "features") {
    channels = {64, 128, 256, 384, 384, 512, 512};
  }
  std::vector<Tensor> operator()(Tensor x) const override {
    const auto pool = [](const Tensor& t) { return max_pool(t, 3, 2, 0, true); };
    std::vector<Tensor> out = {relu(conv0(x))};
    out.push_back(fire4(fire3(pool(out.back()))));
    out.push_back(fire7(fire6(pool(out.back()))));
    out.push_back(fire9(pool(out.back())));
    out.push_back(fire10(out.back()));
    out.push_back(fire11(out.back()));
    out.push_back(fire12(out.back()));
    return out;
  }
  Conv2d conv0{this, "0", 3, 64, 3, 2, 0};
  Fire fire3{this, "3", 64, 16, 64}, fire4{this, "4", 128, 16, 64}, fire6{this, "6", 128, 32, 128},
      fire7{this, "7", 256, 32, 128}, fire9{this, "9", 256, 48, 192}, fire10{this, "10", 384, 48, 192},
      fire11{this, "11", 384, 64, 256}, fire12{this, "12", 512, 64, 256};
};

enum class LpipsNet { vgg, alex, squeeze };
inline const char* name(LpipsNet net) {
  return net == LpipsNet::vgg ? "vgg" : net == LpipsNet::alex ? "alex" : "squeeze";
}

struct Lpips : Module {
  Lpips(const Build& build, LpipsNet net) : Module(build) {
    if (net == LpipsNet::vgg) trunk = std::make_unique<Vgg16Trunk>(this);
    else if (net == LpipsNet::alex) trunk = std::make_unique<AlexNetTrunk>(this);
    else trunk = std::make_unique<SqueezeNetTrunk>(this);
    for (size_t i = 0; i < trunk->channels.size(); ++i)
      heads.emplace_back(this, "lin" + std::to_string(i) + ".model.1", trunk->channels[i], 1, 1, 1, 0, false);
  }

  // Returns the trunk's activations of images (N, H, W, 3) in [-1, 1]. The channels of each position have the
  // length 1.
  std::vector<Tensor> features(const Tensor& images) const {
    // The trunks expect colours of mean 0 and deviation 1. These are the means and deviations in [-1, 1].
    const auto colours = [&](double r, double g, double b) {
      return Tensor::of({3}, {r, g, b}, wide(images.dtype())).to(images.device());
    };
    const Tensor scale = Tensor::of({3, 3}, {1 / 0.458, 0, 0, 0, 1 / 0.448, 0, 0, 0, 1 / 0.450});
    const Tensor x = linear(images, scale.to(images.dtype()).to(images.device()),
                            colours(0.030 / 0.458, 0.088 / 0.448, 0.188 / 0.450));
    std::vector<Tensor> out = (*trunk)(x);
    for (Tensor& y : out) y = unit_length(y);
    return out;
  }
  // Returns the distances (N) of two batches of images from their features().
  Tensor distance(const std::vector<Tensor>& a, const std::vector<Tensor>& b) const {
    Tensor total;
    for (size_t i = 0; i < a.size(); ++i) {
      const int64_t n = a[i].dim(0), c = a[i].dim(3);
      const Tensor weight = reshape(heads[i].weight.in(a[i].dtype()), {1, c});
      const Tensor at = reshape(linear(square(a[i] - b[i]), weight), {n, -1});
      const Tensor mean = scale(sum_last(at), 1 / double(at.dim(1)));
      total = total ? total + mean : mean;
    }
    return total;
  }
  Tensor operator()(const Tensor& a, const Tensor& b) const { return distance(features(a), features(b)); }

  std::unique_ptr<LpipsTrunk> trunk;
  std::deque<Conv2d> heads;

 private:
  // Returns x / |x| over the channels. 1e-20 keeps the gradient finite where all channels are 0.
  static Tensor unit_length(const Tensor& x) {
    const Tensor length = sqrt(shift(sum_last(square(x)), 1e-20));
    const Tensor ones = Tensor::full({x.dim(3), 1}, 1, x.dtype()).to(x.device());
    return div(x, linear(reshape(length, {x.dim(0), x.dim(1), x.dim(2), 1}), ones));
  }
};

}  // namespace dae
