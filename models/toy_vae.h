// The vanilla VAE of the paper's toy study (section 6.1): encoder and decoder are three linear layers with
// ReLU between them, as torch's Sequential(Linear, ReLU, Linear, ReLU, Linear) names them.
#pragma once
#include <memory>

#include "engine/nn.h"
#include "models/weakness.h"

// x (N, in) -> (N, out), two hidden layers.
struct Mlp : Module {
  Mlp(const Build& build, int64_t in, int64_t hidden, int64_t out, Weakness weak = {})
      : Module(build),
        first(this, "0", in, hidden),
        second(this, "2", hidden, hidden),
        third(this, "4", hidden, out),
        weak(weak) {}
  Tensor operator()(const Tensor& x, const Masks& masks = {}) const {
    const Tensor h = drop(first(x, Act::relu), masks);
    return third(drop(second(h, Act::relu), masks));
  }
  Linear first, second, third;
  Weakness weak;

 private:
  Tensor drop(const Tensor& h, const Masks& masks) const { return training() ? weak(h, masks) : h; }
};

// Encoder and decoder are roots of their own, so that the second stage of the DAE can put a fresh decoder in
// place of the weak one.
struct ToyVae {
  struct Posterior {
    Tensor mu, logvar;  // (N, latent)
  };

  ToyVae(const Build& build, int64_t dim, int64_t latent, int64_t encoder_hidden, int64_t decoder_hidden,
         Weakness weak = {})
      : dim(dim), latent(latent), encoder(build, dim, encoder_hidden, 2 * latent) {
    encoder.name_params("encoder");
    make_decoder(build, decoder_hidden, weak);
  }
  // A fresh decoder; the old one is gone.
  void make_decoder(const Build& build, int64_t hidden, Weakness weak = {}) {
    decoder = std::make_unique<Mlp>(build, latent, hidden, dim, weak);
    decoder->name_params("decoder");
  }
  // x (N, dim): the first half of the encoder's output is mu, the second the log-variance.
  Posterior encode(const Tensor& x) const {
    const auto halves = split(encoder(x), 1, 2);
    return {halves[0], clamp(halves[1], -30, 20)};
  }
  Tensor decode(const Tensor& z, const Masks& masks = {}) const {  // (N, latent) -> (N, dim)
    return (*decoder)(z, masks);
  }

  int64_t dim, latent;
  Mlp encoder;
  std::unique_ptr<Mlp> decoder;
};
