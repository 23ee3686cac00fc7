#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> shape_rows() {
  using V = const std::vector<Tensor>&;
  const Shape odd{3, 5, 7};
  return {
      {"reshape",
       "worked out",
       {{odd}},
       [](V x) {
         return square(reshape(x[0], {-1, 21}));
       },
       {}},
      {"permute",
       "rank 3",
       {{odd}},
       [](V x) {
         return permute(x[0], {2, 0, 1});
       },
       [](V x) {
         return permute(permute(x[0], {1, 2, 0}), {1, 2, 0});
       }},
      {"permute",
       "heads",
       {{{2, 5, 3, 4}}},
       [](V x) {
         return permute(x[0], {0, 2, 1, 3});
       },
       {}},
      {"concat",
       "middle",
       {{{3, 2, 7}}, {{3, 5, 7}}},
       [](V x) {
         return concat({x[0], x[1]}, 1);
       },
       {}},
      {"concat",
       "last, one twice",
       {{odd}},
       [](V x) {
         return concat({x[0], x[0]}, -1);
       },
       [](V x) {
         return permute(concat({permute(x[0], {2, 0, 1}), permute(x[0], {2, 0, 1})}, 0), {1, 2, 0});
       }},
      {"slice", "middle", {{odd}}, [](V x) { return slice(x[0], 1, 1, 4); }, {}},
      {"slice", "last", {{odd}}, [](V x) { return slice(x[0], -1, 6, 7); }, {}},
      {"split",
       "last",
       {{{3, 5, 8}}},
       [](V x) {
         const auto p = split(x[0], -1, 2);
         return mul(p[0], p[1]);
       },
       {}},
      {"permute",
       "several tiles",
       {{{2, 37, 66}}},
       [](V x) {
         return permute(x[0], {0, 2, 1});
       },
       {}},
      {"permute",
       "reversed",
       {{{3, 2, 5, 4}}},
       [](V x) {
         return permute(x[0], {3, 2, 1, 0});
       },
       {}},
      {"permute",
       "heads, whole packs",
       {{{2, 5, 3, 16}}},
       [](V x) {
         return permute(x[0], {0, 2, 1, 3});
       },
       {}},
      {"concat",
       "last, whole packs",
       {{{5, 16}}, {{5, 8}}},
       [](V x) {
         return concat({x[0], x[1]}, -1);
       },
       {}},
  };
}

}  // namespace dae
