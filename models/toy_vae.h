// The vanilla VAE of the paper's toy study (section 6.1). Encoder and decoder are three linear layers with
// ReLU between them, named as in torch's Sequential(Linear, ReLU, Linear, ReLU, Linear).
#pragma once
#include <memory>

#include "engine/nn.h"
#include "models/weakness.h"

namespace dae::toy {

// x (N, in) -> (N, out), with two hidden layers of `hidden` units.
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

// Encoder and decoder are separate roots, so that stage 2 of the DAE schedule can replace the weak decoder by
// a fresh one.
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
  // Replaces the decoder by a fresh one.
  void make_decoder(const Build& build, int64_t hidden, Weakness weak = {}) {
    decoder = std::make_unique<Mlp>(build, latent, hidden, dim, weak);
    decoder->name_params("decoder");
  }
  // x (N, dim). The first half of the encoder's output is mu, the second half is logvar.
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

}  // namespace dae::toy
