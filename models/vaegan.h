// The encoder of VAEGAN (Larsen et al. 2016): five convolutions that mirror the DCGAN generator.
#pragma once
#include "models/dcgan.h"

namespace dae::vaegan {

// A diagonal Gaussian over the latent: mean and log-variance, (N, z_dim) each.
struct Posterior {
  Tensor mu, logvar;
};

// Maps images (N, 32, 32, 3) to their posterior. width scales the hidden channels 128, 256, 512, 1024.
struct Encoder : Module {
  Encoder(const Build& build, int64_t z_dim, double width)
      : Module(build),
        conv0{&main, "0", 3, scaled(128, width), 4, 2, 1, false},
        conv2{&main, "2", scaled(128, width), scaled(256, width), 4, 2, 1, false},
        norm3{&main, "3", scaled(256, width)},
        conv5{&main, "5", scaled(256, width), scaled(512, width), 4, 2, 1, false},
        norm6{&main, "6", scaled(512, width)},
        conv8{&main, "8", scaled(512, width), scaled(1024, width), 4, 2, 1, false},
        norm9{&main, "9", scaled(1024, width)},
        conv11{&main, "11", scaled(1024, width), 2 * z_dim, 2, 1, 0} {}
  Posterior operator()(const Tensor& x) {
    Tensor h = leaky_relu(conv0(x), 0.2);
    h = norm3(conv2(h), Act::leaky_relu);
    h = norm6(conv5(h), Act::leaky_relu);
    h = norm9(conv8(h), Act::leaky_relu);
    h = conv11(h);
    const auto halves = split(reshape(h, {x.dim(0), -1}), 1, 2);
    return {halves[0], clamp(halves[1], -30, 20)};
  }
  Module main{this, "main"};
  Conv2d conv0, conv2;
  BatchNorm norm3;
  Conv2d conv5;
  BatchNorm norm6;
  Conv2d conv8;
  BatchNorm norm9;
  Conv2d conv11;
};

}  // namespace dae::vaegan
