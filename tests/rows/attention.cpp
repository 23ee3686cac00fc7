#include <cmath>

#include "tests/rows/rows.h"

namespace dae {

namespace {

// Attention by plain ops: the heads become the first dimension, the whole score matrix is computed, and a key
// that is not visible has the score -1e30.
Tensor plain(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionOptions& o) {
  const int64_t batch = q.dim(0), queries = q.dim(1), keys = k.dim(1), d = q.dim(2) / o.heads;
  auto heads = [&](const Tensor& x) {
    return reshape(permute(reshape(x, {batch, x.dim(1), o.heads, d}), {0, 2, 1, 3}),
                   {batch * o.heads, x.dim(1), d});
  };
  std::vector<double> mask(size_t(batch * o.heads * queries * keys), 0.0);
  for (size_t e = 0; e < mask.size(); ++e) {
    const int64_t j = int64_t(e) % keys, i = int64_t(e) / keys % queries + keys - queries;
    if (o.causal && j > i && !(j < o.unmasked && i < o.unmasked)) mask[e] = -1e30;
  }
  const Tensor score = scale(matmul(heads(q), heads(k), false, true), 1 / std::sqrt(double(d)));
  const Tensor masked = add(score, Tensor::of(score.shape(), mask, q.dtype()));
  const Tensor y = reshape(matmul(softmax(masked), heads(v)), {batch, o.heads, queries, d});
  return reshape(permute(y, {0, 2, 1, 3}), q.shape());
}

Row separate(const char* label, int64_t batch, int64_t queries, int64_t keys, int64_t d, AttentionOptions o) {
  const int64_t channels = o.heads * d;
  return {"attention",
          label,
          {{{batch, queries, channels}, -2, 2}, {{batch, keys, channels}, -2, 2}, {{batch, keys, channels}}},
          [=](const std::vector<Tensor>& x) { return attention(x[0], x[1], x[2], o); },
          [=](const std::vector<Tensor>& x) { return plain(x[0], x[1], x[2], o); }};
}

Row packed(const char* label, int64_t batch, int64_t tokens, int64_t d, AttentionOptions o) {
  return {"attention",
          label,
          {{{batch, tokens, 3 * o.heads * d}, -2, 2}},
          [=](const std::vector<Tensor>& x) { return attention(x[0], o); },
          [=](const std::vector<Tensor>& x) {
            const auto parts = split(x[0], 2, 3);
            return plain(parts[0], parts[1], parts[2], o);
          }};
}

}  // namespace

std::vector<Row> attention_rows() {
  using V = const std::vector<Tensor>&;
  return {
      separate("full, prime sizes", 3, 7, 13, 5, {2}),
      {"attention",
       "one token, which is v",
       {{{2, 1, 6}}, {{2, 1, 6}}, {{2, 1, 6}}},
       [](V x) { return add(add(x[0], x[1]), attention(x[0], x[1], x[2], {2})); },
       [](V x) { return add(add(x[0], x[1]), x[2]); }},
      separate("one query, causal: the last of a cache", 2, 1, 37, 8, {3, true}),
      separate("fewer queries than keys, causal", 2, 5, 13, 7, {2, true}),
      separate("several blocks of queries and keys, one head", 1, 67, 521, 9, {1}),
      separate("several blocks, causal", 1, 131, 523, 4, {2, true}),
      packed("packed", 2, 17, 5, {3}),
      packed("packed, causal", 2, 67, 8, {2, true}),
      packed("packed, causal, the first positions see each other", 2, 23, 8, {2, true, 5}),
      packed("packed, all positions see each other", 1, 11, 4, {1, true, 30}),
      packed("packed, causal, several blocks", 1, 301, 4, {1, true, 270}),
  };
}

}  // namespace dae
