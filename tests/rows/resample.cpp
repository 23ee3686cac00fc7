#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> resample_rows() {
  using V = const std::vector<Tensor>&;
  const std::vector<Input> x{{{2, 5, 6, 3}}}, packs{{{2, 5, 6, 8}}};
  return {
      {"upsample_nearest", "by 2", x, [](V t) { return upsample_nearest(t[0], 2); }, {}},
      {"upsample_nearest", "by 3", x, [](V t) { return upsample_nearest(t[0], 3); }, {}},
      {"max_pool", "k2 s2", x, [](V t) { return max_pool(t[0], 2, 2, 0); }, {}},
      {"max_pool", "k3 s2 p1", x, [](V t) { return max_pool(t[0], 3, 2, 1); }, {}},
      {"max_pool",
       "k3 s2, ceil mode",
       {{{2, 6, 9, 3}}},
       [](V t) { return max_pool(t[0], 3, 2, 0, true); },
       {}},
      {"max_pool",
       "k2 s3 p1, ceil mode",
       {{{1, 5, 8, 8}}},
       [](V t) { return max_pool(t[0], 2, 3, 1, true); },
       {}},
      {"avg_pool", "k3 s1 p1, padding counted", x, [](V t) { return avg_pool(t[0], 3, 1, 1, true); }, {}},
      {"avg_pool", "k3 s1 p1, not counted", x, [](V t) { return avg_pool(t[0], 3, 1, 1, false); }, {}},
      {"avg_pool", "undoes upsampling", x,
       [](V t) { return avg_pool(upsample_nearest(t[0], 2), 2, 2, 0, true); }, [](V t) { return t[0]; }},
      {"global_avg_pool", "square", {{{2, 4, 4, 3}}}, [](V t) { return global_avg_pool(t[0]); }, {}},
      {"global_avg_pool", "oblong", x, [](V t) { return global_avg_pool(t[0]); }, {}},
      {"upsample_nearest", "whole packs", packs, [](V t) { return upsample_nearest(t[0], 2); }, {}},
      {"max_pool", "whole packs", packs, [](V t) { return max_pool(t[0], 3, 2, 1); }, {}},
      {"avg_pool", "whole packs", packs, [](V t) { return avg_pool(t[0], 3, 2, 1, false); }, {}},
  };
}

}  // namespace dae
