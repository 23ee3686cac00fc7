#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> random_rows() {
  using In = std::vector<Tensor>;
  const Key key{7, 3, 1};
  return {
      {"normal",
       "prime",
       {{{37}}},
       [=](const In& in) { return normal(in[0].shape(), key, in[0].dtype(), in[0].device()); },
       {},
       false},
      {"uniform",
       "prime",
       {{{37}}},
       [=](const In& in) { return uniform(in[0].shape(), -2, 3, key, in[0].dtype(), in[0].device()); },
       {},
       false},
      {"dropout", "odd", {{{3, 5, 7}}}, [=](const In& in) { return dropout(in[0], 0.3, key); }, {}},
      {"dropout", "one", {{{1}}}, [=](const In& in) { return dropout(in[0], 0.5, key); }, {}},
      {"channel_dropout",
       "odd",
       {{{3, 5, 2, 7}}},
       [=](const In& in) { return channel_dropout(in[0], 0.4, key); },
       {}},
      // An image has one position, so each element has a mask value and both kinds of dropout agree.
      {"channel_dropout",
       "(N, C)",
       {{{5, 13}}},
       [=](const In& in) { return channel_dropout(in[0], 0.4, key); },
       [=](const In& in) { return dropout(in[0], 0.4, key); }},
      {"dropout",
       "several blocks",
       {{{3, 1031}}},
       [=](const In& in) { return dropout(in[0], 0.3, key); },
       {}},
      {"channel_dropout",
       "whole packs",
       {{{3, 5, 2, 16}}},
       [=](const In& in) { return channel_dropout(in[0], 0.4, key); },
       {}},
  };
}

}  // namespace dae
