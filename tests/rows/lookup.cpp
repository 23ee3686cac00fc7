#include "tests/rows/rows.h"

namespace dae {

std::vector<Row> lookup_rows() {
  using V = const std::vector<Tensor>&;
  return {
      {"embedding",
       "repeated",
       {{{5, 37}}, {{3, 7}, 0, 0, false, 5}},
       [](V x) { return embedding(x[0], x[1]); },
       {}},
      // Few entries occur, as with class labels; on CUDA their rows are cut into chunks.
      {"embedding",
       "few entries, chunks of rows",
       {{{19, 8}}, {{1301}, 0, 0, false, 3}},
       [](V x) { return embedding(x[0], x[1]); },
       {}},
      {"embedding",
       "many rows, whole packs",
       {{{13, 16}}, {{301}, 0, 0, false, 13}},
       [](V x) { return embedding(x[0], x[1]); },
       {}},
  };
}

}  // namespace dae
