#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> reduce_rows() {
  using V = const std::vector<Tensor>&;
  return {
      {"sum", "odd", {{{3, 5, 7}}}, [](V x) { return sum(x[0]); }, [](V x) { return sum(sum_last(x[0])); }},
      {"sum", "many chunks", {{{17, 1031}}}, [](V x) { return sum(x[0]); }, {}},
      {"mean",
       "odd",
       {{{3, 5, 7}}},
       [](V x) { return mean(x[0]); },
       [](V x) { return scale(sum(x[0]), 1 / 105.0); }},
      {"l2_norm",
       "odd",
       {{{3, 5, 7}}},
       [](V x) { return l2_norm(x[0]); },
       [](V x) { return sqrt(sum(square(x[0]))); }},
      {"sum_last", "prime", {{{6, 37}}}, [](V x) { return sum_last(x[0]); }, {}},
      {"sum_last", "one column", {{{6, 1}}}, [](V x) { return sum_last(x[0]); }, {}},
      {"sum_rows",
       "prime",
       {{{131, 37}}},
       [](V x) { return sum_rows(x[0]); },
       [](V x) {
         return sum_last(permute(x[0], {1, 0}));
       }},
      {"sum_last", "long rows", {{{3, 1031}}}, [](V x) { return sum_last(x[0]); }, {}},
      {"sum_rows", "whole packs, many rows", {{{1031, 32}}}, [](V x) { return sum_rows(x[0]); }, {}},
  };
}

}  // namespace dae
