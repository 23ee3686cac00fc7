#include "train/evaluation/probe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/simclr.h"
#include "train/feed/feed.h"

namespace dae {

namespace {

constexpr int64_t kChunk = 100;  // images or queries at a time

Tensor features(Learner& learner, const Tensor& x, int64_t every) {
  CanEncode* encoder = learner.encoder();
  if (!encoder) fail(Fault::usage, "probe.every: expected 0 for a model without an encoder, found {}", every);
  std::vector<Tensor> parts;
  for (int64_t begin = 0; begin < x.dim(0); begin += kChunk)
    parts.push_back(encoder->features(slice(x, 0, begin, std::min(begin + kChunk, x.dim(0)))));
  return concat(parts, 0);
}

int64_t vote(const double* cosines, const std::vector<int64_t>& bank_labels, int64_t k, double temperature,
             std::vector<int64_t>& order, std::vector<double>& votes) {
  std::iota(order.begin(), order.end(), int64_t{0});
  std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
    return cosines[a] != cosines[b] ? cosines[a] > cosines[b] : a < b;
  });
  std::fill(votes.begin(), votes.end(), 0);
  for (int64_t i = 0; i < k; ++i) {
    const int64_t at = order[size_t(i)];
    votes[size_t(bank_labels[size_t(at)])] += std::exp(cosines[at] / temperature);
  }
  return std::max_element(votes.begin(), votes.end()) - votes.begin();
}

}  // namespace

double knn_accuracy(const Tensor& bank, const std::vector<int64_t>& bank_labels, const Tensor& queries,
                    const std::vector<int64_t>& labels, int64_t k, double temperature) {
  const NoGrad off;
  const int64_t count = bank.dim(0);
  const Tensor voters = simclr::l2_normalize(bank), asking = simclr::l2_normalize(queries);
  std::vector<int64_t> order(size_t(count), 0);
  std::vector<double> votes(size_t(1 + *std::max_element(bank_labels.begin(), bank_labels.end())));
  int64_t right = 0;
  for (int64_t begin = 0; begin < queries.dim(0); begin += kChunk) {
    const int64_t end = std::min(begin + kChunk, queries.dim(0));
    const std::vector<double> cosines = matmul(slice(asking, 0, begin, end), voters, false, true).values();
    for (int64_t i = begin; i < end; ++i)
      right += labels[size_t(i)] == vote(&cosines[size_t((i - begin) * count)], bank_labels,
                                         std::min(k, count), temperature, order, votes);
  }
  return double(right) / double(queries.dim(0));
}

// Returns `count` examples of a shuffled order, from position `begin` on.
Probe::Part Probe::take(const Recipe& recipe, int64_t begin, int64_t count) {
  const Examples examples(recipe);
  if (begin + count > examples.size())
    fail(Fault::usage,
         "probe: expected at least {} examples in {} (probe.train and probe.test), found {}; lower them",
         begin + count, recipe.data.path.empty() ? recipe.data.kind : recipe.data.path, examples.size());
  std::vector<int64_t> order(size_t(examples.size()), 0);
  std::iota(order.begin(), order.end(), int64_t{0});
  const Key key{recipe.seed, kProbeStep, 0};
  for (int64_t i = 0; i < begin + count; ++i) {
    const uint64_t rest = uint64_t(examples.size() - i);
    std::swap(order[size_t(i)], order[size_t(i) + size_t((random_bits(key, uint64_t(i)) * rest) >> 32)]);
  }
  const Batch batch = examples.get({order.begin() + begin, order.begin() + begin + count});
  Part part{batch.x, {}};
  for (const double label : batch.labels.values()) part.labels.push_back(int64_t(label));
  if (*std::min_element(part.labels.begin(), part.labels.end()) < 0)
    fail(Fault::usage, "probe: expected data with labels, found none in data.kind {}; set probe.every=0",
         recipe.data.kind);
  return part;
}

Probe::Probe(const Recipe& recipe)
    : every_(recipe.probe.every), k_(recipe.probe.neighbours), temperature_(recipe.probe.temperature) {
  bank_ = take(recipe, 0, recipe.probe.train);
  if (const std::optional<Recipe> others = held_out(recipe)) queries_ = take(*others, 0, recipe.probe.test);
  else queries_ = take(recipe, recipe.probe.train, recipe.probe.test);
}

double Probe::accuracy(Learner& learner) const {
  const NoGrad off;
  const Averages averages(learner);
  return knn_accuracy(features(learner, bank_.x, every_), bank_.labels, features(learner, queries_.x, every_),
                      queries_.labels, k_, temperature_);
}

}  // namespace dae
