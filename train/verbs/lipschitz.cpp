// `dae inspect lipschitz` prints how much the encoder and the decoder of a run stretch distances.
#include "train/evaluation/lipschitz.h"

#include <nlohmann/json.hpp>

#include "train/evaluation/networks.h"
#include "train/feed/feed.h"
#include "train/run/trained.h"
#include "train/verbs/verbs.h"

namespace dae {

namespace {

// Returns the numbers of two different examples, drawn uniformly.
std::pair<int64_t, int64_t> pair_of(uint64_t seed, int64_t index, int64_t size) {
  const Bits4 bits = random4({seed, kPairStep, 0}, uint64_t(index));
  const auto below = [](uint32_t high, uint32_t low, int64_t n) {
    const uint64_t word = uint64_t(high) << 32 | low;
    return int64_t((unsigned __int128)(word)*uint64_t(n) >> 64);
  };
  const int64_t first = below(bits.v[0], bits.v[1], size), second = below(bits.v[2], bits.v[3], size - 1);
  return {first, second < first ? second : second + 1};
}

nlohmann::ordered_json to_json(const Ratios& r) {
  return {{"mean", r.mean}, {"median", r.median}, {"p95", r.p95}, {"pairs", r.pairs}};
}

}  // namespace

int inspect_lipschitz(const LipschitzArguments& arguments, const Options& options) {
  const NoGrad off;
  const Trained run = load_trained(arguments.run, options.device, arguments.sets, arguments.raw);
  CanEncode* encoder = run.learner->encoder();
  CanDecode* decoder = run.learner->decoder();
  if (!encoder || !decoder)
    fail(Fault::usage, "lipschitz: {}: expected a model with an encoder and a decoder, found a {}",
         run.folder, run.recipe.model.kind);
  const std::optional<Recipe> others = held_out(run.recipe);
  const Examples examples(others.value_or(run.recipe));
  if (examples.size() < 2)
    fail(Fault::usage, "lipschitz: expected at least two examples, found {}", examples.size());
  const Distances& latents = arguments.rms ? rms_distances : l2_distances;
  std::vector<Metric> metrics = {{arguments.rms ? "RMS" : "L2", latents, latents}};
  LpipsNetwork lpips;
  if (!arguments.weights.empty()) {
    if (run.learner->example_shape().size() != 3)
      fail(Fault::usage, "lipschitz: --weights: expected a model of images, found a {}",
           run.recipe.model.kind);
    lpips = load_lpips(arguments.weights, options.device);
    metrics.push_back({fmt::format("LPIPS-{}", name(lpips.net)),
                       [&](const Tensor& a, const Tensor& b) { return (*lpips.model)(a, b).values(); },
                       latents});
  }
  const uint64_t seed = options.seed.value_or(0);
  const std::vector<Lipschitz> found = measure_lipschitz(
      arguments.pairs,
      [&](int64_t begin, int64_t count) {
        std::vector<int64_t> first, second;
        for (int64_t i = begin; i < begin + count; ++i) {
          const auto [a, b] = pair_of(seed, i, examples.size());
          first.push_back(a), second.push_back(b);
        }
        if (!options.quiet && begin % 1000 == 0 && begin)
          fmt::print(stderr, "{} of {} pairs\n", begin, arguments.pairs);
        return std::pair(examples.get(first).x, examples.get(second).x);
      },
      [&](const Tensor& x) { return encoder->encode(x); },
      [&](const Tensor& z) { return decoder->decode(z); }, metrics);

  const auto& source = (others ? *others : run.recipe).data;
  const std::string data =
      (source.path.empty() ? source.kind : source.path) + (others ? "" : ", trained on too");
  if (options.json) {
    nlohmann::ordered_json out{{"run", run.folder},           {"step", run.at.step},
                               {"stage", run.at.stage},       {"data", data},
                               {"examples", examples.size()}, {"seed", seed},
                               {"pairs", arguments.pairs},    {"averaged", run.averages != nullptr}};
    for (const Lipschitz& l : found)
      out["metrics"].push_back(
          {{"metric", l.metric}, {"encoder", to_json(l.encoder)}, {"decoder", to_json(l.decoder)}});
    if (lpips.model) out["weights"] = {{"path", lpips.path}, {"crc32", lpips.crc32}};
    fmt::print("{}\n", out.dump());
    return 0;
  }
  fmt::print("{} at step {}, stage {}{}: {} pairs of {} examples ({}), seed {}\n\n", run.folder, run.at.step,
             run.at.stage, run.averages ? ", averaged weights" : "", arguments.pairs, examples.size(), data,
             seed);
  fmt::print("{:<24} {:>10} {:>10} {:>10}\n", "", "mean", "median", "95 %");
  for (const Lipschitz& l : found) {
    for (const auto& [part, r] : {std::pair("encoder", l.encoder), std::pair("decoder", l.decoder)})
      fmt::print("{:<24} {:>10.4f} {:>10.4f} {:>10.4f}\n", fmt::format("{}, {}", part, l.metric), r.mean,
                 r.median, r.p95);
    fmt::print("{:<24} {:>10.4f}\n", "their product", l.encoder.mean * l.decoder.mean);
  }
  return 0;
}

}  // namespace dae
