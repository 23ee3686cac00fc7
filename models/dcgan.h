// DCGAN for 32x32 images (Radford et al. 2016), in the variant whose discriminator applies LeakyReLU before
// batch norm. The parameters have PyTorch's names main.0, main.1, ...; activations count in the numbers.
#pragma once
#include "engine/nn.h"
#include "models/weakness.h"
#include "models/width.h"

namespace dae::dcgan {

// Maps z (N, z_dim) to images (N, 32, 32, 3) in (-1, 1). width scales the hidden channels 1024, 512, 256,
// 128.
struct Generator : Module {
  Generator(const Build& build, int64_t z_dim, double width, Weakness weak = {})
      : Module(build),
        conv0{&main, "0", z_dim, scaled(1024, width), 2, 1, 0, false},
        norm1{&main, "1", scaled(1024, width)},
        conv3{&main, "3", scaled(1024, width), scaled(512, width), 4, 2, 1, false},
        norm4{&main, "4", scaled(512, width)},
        conv6{&main, "6", scaled(512, width), scaled(256, width), 4, 2, 1, false},
        norm7{&main, "7", scaled(256, width)},
        conv9{&main, "9", scaled(256, width), scaled(128, width), 4, 2, 1, false},
        norm10{&main, "10", scaled(128, width)},
        conv12{&main, "12", scaled(128, width), 3, 4, 2, 1, false},
        weak(weak) {}

  Tensor operator()(const Tensor& z, const Masks& masks = {}) {
    Tensor h = reshape(z, {z.dim(0), 1, 1, z.dim(1)});
    h = drop(norm1(conv0(h), Act::relu), masks);
    h = drop(norm4(conv3(h), Act::relu), masks);
    h = drop(norm7(conv6(h), Act::relu), masks);
    h = drop(norm10(conv9(h), Act::relu), masks);
    return tanh(conv12(h));
  }

  Module main{this, "main"};
  ConvTranspose2d conv0;
  BatchNorm norm1;
  ConvTranspose2d conv3;
  BatchNorm norm4;
  ConvTranspose2d conv6;
  BatchNorm norm7;
  ConvTranspose2d conv9;
  BatchNorm norm10;
  ConvTranspose2d conv12;
  Weakness weak;

 private:
  Tensor drop(const Tensor& h, const Masks& masks) const { return training() ? weak(h, masks) : h; }
};

// Maps images (N, 32, 32, 3) to logits (N, 1) and to the features D_l (N, 4, 4, 256) that VAEGAN compares.
// width scales the channels 64, 128, 256, 512.
struct Discriminator : Module {
  Discriminator(const Build& build, double width)
      : Module(build),
        conv0{&main, "0", 3, scaled(64, width), 5, 2, 2, false},
        conv2{&main, "2", scaled(64, width), scaled(128, width), 5, 2, 2, false},
        norm4{&main, "4", scaled(128, width)},
        conv5{&main, "5", scaled(128, width), scaled(256, width), 5, 2, 2, false},
        norm7{&main, "7", scaled(256, width)},
        conv8{&main, "8", scaled(256, width), scaled(512, width), 5, 2, 2, false},
        norm10{&main, "10", scaled(512, width)},
        head{this, "linear", 4 * scaled(512, width), 1} {}
  struct Output {
    Tensor logits, features;
  };
  Output operator()(const Tensor& x) {
    Tensor h = leaky_relu(conv0(x), 0.2);
    h = norm4(leaky_relu(conv2(h), 0.2));
    const Tensor features = conv5(h);
    h = norm7(leaky_relu(features, 0.2));
    h = norm10(leaky_relu(conv8(h), 0.2));
    // PyTorch flattens (C, H, W), and the weight of `head` has that order.
    h = reshape(permute(h, {0, 3, 1, 2}), {x.dim(0), -1});
    return {head(h), features};
  }
  Module main{this, "main"};
  Conv2d conv0, conv2;
  BatchNorm norm4;
  Conv2d conv5;
  BatchNorm norm7;
  Conv2d conv8;
  BatchNorm norm10;
  Linear head;
};

}  // namespace dae::dcgan
