#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> norm_rows() {
  using V = const std::vector<Tensor>&;
  auto batch = [](Act act, bool training) {
    return [=](V x) {
      const Shape c{x[0].dim(-1)};
      Tensor mean = Tensor::full(c, 0.1, wide(x[0].dtype()), x[0].device());
      Tensor var = Tensor::full(c, 0.7, wide(x[0].dtype()), x[0].device());
      return batch_norm(x[0], x[1], x[2], mean, var, training, 0.1, 1e-5, act);
    };
  };
  auto group = [](int64_t groups, Act act) {
    return [=](V x) { return group_norm(x[0], x[1], x[2], groups, 1e-6, act); };
  };
  auto modulated = [](V x) { return modulated_norm(x[0], x[1], x[2], 1e-6); };
  auto modulated_by_parts = [](V x) {
    const Tensor xhat = layer_norm(x[0], {}, {}, 1e-6), one = Tensor::full(xhat.shape(), 1, xhat.dtype());
    return gate_add(gate_add(xhat, x[2], xhat), x[1], one);
  };
  auto wb = [](Shape x, int64_t c) {
    return std::vector<Input>{{x, -2, 3}, wide_input({c}, 0.5, 1.5), wide_input({c}, -0.5, 0.5)};
  };
  return {
      {"batch_norm", "training", wb({4, 3, 5, 7}, 7), batch(Act::none, true), {}},
      {"batch_norm", "training, relu", wb({4, 3, 5, 7}, 7), batch(Act::relu, true),
       [=](V x) { return relu(batch(Act::none, true)(x)); }},
      {"batch_norm", "training, leaky", wb({4, 3, 5, 37}, 37), batch(Act::leaky_relu, true),
       [=](V x) { return leaky_relu(batch(Act::none, true)(x), 0.2); }},
      {"batch_norm", "training, silu", wb({31, 5}, 5), batch(Act::silu, true),
       [=](V x) { return silu(batch(Act::none, true)(x)); }},
      {"batch_norm", "many rows", wb({1027, 3}, 3), batch(Act::none, true), {}},
      {"batch_norm", "whole packs, many rows", wb({1031, 32}, 32), batch(Act::silu, true), {}},
      {"batch_norm", "eval", wb({4, 3, 5, 7}, 7), batch(Act::relu, false), {}},
      {"group_norm", "none", wb({3, 4, 5, 12}, 12), group(4, Act::none), {}},
      {"group_norm", "silu", wb({3, 4, 5, 12}, 12), group(3, Act::silu),
       [=](V x) { return silu(group(3, Act::none)(x)); }},
      {"group_norm", "relu, one image", wb({1, 3, 3, 14}, 14), group(7, Act::relu),
       [=](V x) { return relu(group(7, Act::none)(x)); }},
      {"group_norm", "one group", wb({2, 3, 3, 5}, 5), group(1, Act::leaky_relu),
       [=](V x) { return leaky_relu(group(1, Act::none)(x), 0.2); }},
      {"group_norm", "whole packs, many positions", wb({2, 35, 31, 32}, 32), group(8, Act::silu), {}},
      {"group_norm", "many images", wb({19, 2, 3, 6}, 6), group(2, Act::none), {}},
      {"group_norm", "one position", wb({5, 24}, 24), group(3, Act::relu),
       [=](V x) { return relu(group(3, Act::none)(x)); }},
      {"layer_norm", "affine", wb({3, 5, 37}, 37), [](V x) { return layer_norm(x[0], x[1], x[2], 1e-5); },
       [](V x) {
         const Tensor rows = reshape(x[0], {15, 1, 37});
         return reshape(group_norm(rows, x[1], x[2], 1, 1e-5), {3, 5, 37});
       }},
      {"layer_norm", "plain", {{{3, 5, 37}, -2, 3}}, [](V x) { return layer_norm(x[0], {}, {}, 1e-6); }, {}},
      {"modulated_norm",
       "tokens",
       {{{3, 5, 37}, -2, 3}, {{3, 37}}, {{3, 37}}},
       modulated,
       modulated_by_parts},
      {"modulated_norm",
       "whole packs, many tokens",
       {{{2, 135, 16}, -2, 3}, {{2, 16}}, {{2, 16}}},
       modulated,
       {}},
      {"modulated_norm",
       "one row an image",
       {{{7, 24}, -2, 3}, {{7, 24}}, {{7, 24}}},
       modulated,
       modulated_by_parts},
      {"layer_norm",
       "whole packs",
       wb({7, 64}, 64),
       [](V x) { return layer_norm(x[0], x[1], x[2], 1e-5); },
       {}},
  };
}

}  // namespace dae
