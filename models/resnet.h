// ResNet-18 (He et al. 2016) with a stem for 32x32 images: a 3x3 convolution of stride 1 and no pooling,
// instead of a 7x7 convolution of stride 2 and a 3x3 pooling. Names and initial values are torchvision's,
// without fc: conv1, bn1, layer1.0.conv1, ..., layer4.1.bn2, and layerN.0.downsample.0 and .1 where a layer
// changes the size.
#pragma once
#include "engine/nn.h"
#include "models/width.h"

namespace dae::resnet {

// Two 3x3 convolutions with batch norm, added to a shortcut:
// x (N, H, W, in) -> (N, H / stride, W / stride, out).
struct BasicBlock : Module {
  BasicBlock(Module* parent, const std::string& name, int64_t in, int64_t out, int64_t stride)
      : Module(parent, name),
        conv1{this, "conv1", in, out, 3, stride, 1, false, Init::he},
        bn1{this, "bn1", out},
        conv2{this, "conv2", out, out, 3, 1, 1, false, Init::he},
        bn2{this, "bn2", out} {
    if (stride == 1 && in == out) return;
    downsample = std::make_unique<Downsample>(this, in, out, stride);
  }
  Tensor operator()(const Tensor& x) {
    const Tensor h = bn2(conv2(bn1(conv1(x), Act::relu)));
    return relu(h + (downsample ? downsample->norm(downsample->conv(x)) : x));
  }

  struct Downsample : Module {
    Downsample(Module* parent, int64_t in, int64_t out, int64_t stride)
        : Module(parent, "downsample"),
          conv{this, "0", in, out, 1, stride, 0, false, Init::he},
          norm{this, "1", out} {}
    Conv2d conv;
    BatchNorm norm;
  };
  Conv2d conv1;
  BatchNorm bn1;
  Conv2d conv2;
  BatchNorm bn2;
  std::unique_ptr<Downsample> downsample;
};

// Maps images (N, H, W, 3) to features (N, channels()): the mean over the H/8 x W/8 positions of the last
// layer. width scales the 64 channels of the stem; each of layer2 to layer4 doubles them.
struct ResNet18 : Module {
  ResNet18(Module* parent, const std::string& name, double width)
      : Module(parent, name), base(scaled(64, width)) {}
  int64_t channels() const { return 8 * base; }
  Tensor operator()(const Tensor& x) {
    Tensor h = bn1(conv1(x), Act::relu);
    for (Layer* layer : {&layer1, &layer2, &layer3, &layer4}) h = layer->second(layer->first(h));
    return global_avg_pool(h);
  }

  struct Layer : Module {
    Layer(Module* parent, const std::string& name, int64_t in, int64_t out, int64_t stride)
        : Module(parent, name), first{this, "0", in, out, stride}, second{this, "1", out, out, 1} {}
    BasicBlock first, second;
  };
  int64_t base;
  Conv2d conv1{this, "conv1", 3, base, 3, 1, 1, false};
  BatchNorm bn1{this, "bn1", base};
  Layer layer1{this, "layer1", base, base, 1};
  Layer layer2{this, "layer2", base, 2 * base, 2};
  Layer layer3{this, "layer3", 2 * base, 4 * base, 2};
  Layer layer4{this, "layer4", 4 * base, 8 * base, 2};
};

}  // namespace dae::resnet
