#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> loss_rows() {
  using V = const std::vector<Tensor>&;
  const Shape odd{3, 5, 7};
  const Key key{7, 3, 1};
  auto kl = [](const Tensor& mu, const Tensor& logvar) {
    return scale(sum(sub(add(square(mu), exp(logvar)), shift(logvar, 1))), 0.5 / double(mu.dim(0)));
  };
  auto both = [](const NormalSample& s) { return add(mean(square(s.z)), s.kl); };
  return {
      {"mse_loss",
       "odd",
       {{odd}, {odd}},
       [](V x) { return mse_loss(x[0], x[1]); },
       [](V x) { return mean(square(sub(x[0], x[1]))); }},
      {"l1_loss",
       "odd",
       {{odd, 1, 2}, {odd, -1, 0.5}},
       [](V x) { return l1_loss(x[0], x[1]); },
       [](V x) { return mean(abs(sub(x[0], x[1]))); }},
      {"bce_with_logits",
       "target 1",
       {{odd, -6, 6}},
       [](V x) { return bce_with_logits(x[0], 1); },
       [](V x) { return mean(softplus(scale(x[0], -1))); }},
      {"bce_with_logits",
       "target 0",
       {{odd, -6, 6}},
       [](V x) { return bce_with_logits(x[0], 0); },
       [](V x) { return mean(softplus(x[0])); }},
      {"hinge_loss",
       "real",
       {{odd, -3, 3}},
       [](V x) { return hinge_loss(x[0], 1); },
       [](V x) { return mean(relu(shift(scale(x[0], -1), 1))); }},
      {"hinge_loss",
       "fake",
       {{odd, -3, 3}},
       [](V x) { return hinge_loss(x[0], -1); },
       [](V x) { return mean(relu(shift(x[0], 1))); }},
      // A loss of z alone, of kl alone, and of both: the gradients come from one pass.
      {"sample_normal",
       "z, eps given",
       {{{5, 7}}, {{5, 7}, -3, 2}, {{5, 7}, -2, 2, false}},
       [](V x) { return sample_normal(x[0], x[1], x[2]).z; },
       [](V x) { return add(x[0], mul(exp(scale(x[1], 0.5)), x[2])); }},
      {"sample_normal",
       "kl",
       {{{5, 7}}, {{5, 7}, -3, 2}},
       [=](V x) { return sample_normal(x[0], x[1], key).kl; },
       [=](V x) { return kl(x[0], x[1]); }},
      {"sample_normal",
       "both, drawn",
       {{{5, 3, 7}}, {{5, 3, 7}, -3, 2}},
       [=](V x) { return both(sample_normal(x[0], x[1], key)); },
       [=](V x) {
         const Tensor eps = normal(x[0].shape(), key, x[0].dtype(), x[0].device());
         return both({add(x[0], mul(exp(scale(x[1], 0.5)), eps)), kl(x[0], x[1])});
       }},
      {"sample_normal",
       "both, whole packs, two blocks",
       {{{3, 1368}}, {{3, 1368}, -1, 1}},
       [=](V x) { return both(sample_normal(x[0], x[1], key)); },
       {}},
  };
}

}  // namespace dae
