// SimCLR (Chen et al. 2020) on 32x32 images: a ResNet-18, a projection head, and the contrastive loss
// NT-Xent. The head and the settings are those of the public CIFAR-10 implementation by leftthomas, which
// uses a ResNet-50.
#pragma once
#include "models/resnet.h"

namespace dae::simclr {

// Returns x / max(|x|, 1e-12) for each row of x (N, C). One product with a matrix of ones both sums the
// squares and copies the sum to the whole row.
inline Tensor l2_normalize(const Tensor& x) {
  const Tensor ones = Tensor::full({x.dim(-1), x.dim(-1)}, 1, x.dtype(), x.device());
  return div(x, sqrt(clamp(matmul(square(x), ones), 1e-24, 1e30)));
}

// Maps images (N, 32, 32, 3) in [-1, 1] to the features (N, 512) of the backbone and their projection (N,
// z_dim). Neither is normalised. width scales the channels, also the 512 of the features and the head. The
// parameters have the names backbone.* as in resnet.h, and head.0, head.1, head.3 as in Sequential(Linear
// without bias, BatchNorm1d, ReLU, Linear).
struct Simclr : Module {
  struct Output {
    Tensor features, projection;
  };
  Simclr(const Build& build, int64_t z_dim, double width)
      : Module(build),
        backbone{this, "backbone", width},
        head0{&head, "0", backbone.channels(), backbone.channels(), false},
        head1{&head, "1", backbone.channels()},
        head3{&head, "3", backbone.channels(), z_dim},
        // Map [-1, 1] to [0, 1], subtract the mean of CIFAR-10's channels, divide by their deviation.
        to_unit(
            Tensor::of({3, 3}, {0.5 / kStd[0], 0, 0, 0, 0.5 / kStd[1], 0, 0, 0, 0.5 / kStd[2]}, Dtype::f64)
                .to(build.dtype)
                .to(build.device)),
        offset(Tensor::of(
                   {3}, {(0.5 - kMean[0]) / kStd[0], (0.5 - kMean[1]) / kStd[1], (0.5 - kMean[2]) / kStd[2]},
                   Dtype::f64)
                   .to(wide(build.dtype))
                   .to(build.device)) {
    name_params("");
  }
  Output operator()(const Tensor& x) {
    const Tensor features = backbone(linear(x, to_unit, offset));
    return {features, head3(head1(head0(features), Act::relu))};
  }
  static constexpr double kMean[3] = {0.4914, 0.4822, 0.4465}, kStd[3] = {0.2023, 0.1994, 0.2010};
  resnet::ResNet18 backbone;
  Module head{this, "head"};
  Linear head0;
  BatchNorm head1;
  Linear head3;
  Tensor to_unit, offset;
};

// NT-Xent, the normalised temperature-scaled cross entropy: each of the 2 N projections is classified, which
// of the 2 N - 1 others is the second view of its image. The logits are cosines divided by the temperature;
// the loss is the mean over the 2 N.
class NtXent {
 public:
  explicit NtXent(double temperature) : temperature_(temperature) {}
  // Returns the loss, a scalar, of the projections of the two views: a, b (N, D).
  Tensor operator()(const Tensor& a, const Tensor& b) {
    const Tensor z = l2_normalize(concat({a, b}, 0));
    if (!partner_ || partner_.dim(0) != z.dim(0)) make_mask(a);
    return cross_entropy(scale(matmul(z, z, false, true), 1 / temperature_) + mask_, partner_);
  }

 private:
  void make_mask(const Tensor& a) {  // for the batch size and type of a; kept for the next steps
    const int64_t batch = a.dim(0), rows = 2 * batch;
    std::vector<double> mask(size_t(rows * rows));
    partner_ = Tensor({rows}, Dtype::i64);
    for (int64_t i = 0; i < rows; ++i) {
      mask[size_t(i * rows + i)] = -3e4;  // hides the row itself: its exponential is 0, and f16 can hold it
      partner_.data<int64_t>()[i] = (i + batch) % rows;
    }
    mask_ = Tensor::of({rows, rows}, mask, Dtype::f64).to(a.dtype()).to(a.device());
    partner_ = partner_.to(a.device());
  }
  double temperature_;
  Tensor mask_, partner_;
};

}  // namespace dae::simclr
