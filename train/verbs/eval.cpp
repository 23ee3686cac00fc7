// `dae eval` prints one metric of a set of images, alone or against a reference.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "data/files/file.h"
#include "train/evaluation/features.h"
#include "train/evaluation/frechet.h"
#include "train/evaluation/paired.h"
#include "train/evaluation/scores.h"
#include "train/evaluation/statistics_file.h"
#include "train/machine/environment.h"
#include "train/run/run_images.h"
#include "train/verbs/verbs.h"

namespace dae {

namespace {

using Json = nlohmann::ordered_json;

// Returns which weights of a run and which noise made the images.
Json origin(const Trained& run) {
  return {{"step", run.at.step}, {"seed", run.recipe.seed}, {"averaged", run.averages != nullptr}};
}

struct Inputs {
  std::unique_ptr<ImageSet> a, b;  // null: saved statistics, or not given
  int64_t count, reference_count;
  Json run_a = Json::object(), run_b = run_a;  // the origin of a run's images; empty: no run
};

Trained load(const std::string& path, const EvalArguments& arguments, const Options& options, Json& of) {
  Trained run = load_trained(path, options.device, arguments.sets, arguments.raw);
  of = origin(run);
  return run;
}

std::unique_ptr<ImageSet> open(const std::string& path, int64_t count, const EvalArguments& arguments,
                               const Options& options, Json& of) {
  if (!is_run(path)) {
    std::unique_ptr<ImageSet> images = open_images(path);
    if (const std::string files = images->skipped(); !files.empty() && !options.quiet)
      fmt::print(stderr, "{}: skipped {}; JPEG and PNG are read\n", path, files);
    return images;
  }
  if (count == 0)
    fail(Fault::usage, "{}: expected --count, how many samples to draw of the run, found none", path);
  return samples_of(load(path, arguments, options, of), count);
}

Inputs open_both(const EvalArguments& arguments, const Options& options, bool a_is_saved, bool b_is_saved) {
  Inputs in{nullptr, nullptr, arguments.count, arguments.reference_count.value_or(arguments.count)};
  if (arguments.reconstructions) {
    if (!is_run(arguments.a)) fail(Fault::usage, "--reconstructions: expected a run, found {}", arguments.a);
    Reconstructed both = reconstructions_of(load(arguments.a, arguments, options, in.run_a), arguments.count);
    in.a = std::move(both.reconstructions);
    if (arguments.b.empty()) in.b = std::move(both.originals);
  } else if (!a_is_saved) in.a = open(arguments.a, in.count, arguments, options, in.run_a);
  if (!arguments.b.empty() && !b_is_saved)
    in.b = open(arguments.b, in.reference_count, arguments, options, in.run_b);
  return in;
}

Json described(const std::string& path, int64_t count, const std::string& crc32,
               const Json& run = Json::object()) {
  Json out{{"path", path}, {"count", count}, {"crc32", crc32}};
  out.update(run);
  return out;
}
template <class Network>
Json described(const Network& network) {
  return {{"path", network.path}, {"crc32", network.crc32}};
}
// Returns where the reference comes from, for messages.
std::string reference_path(const EvalArguments& arguments) {
  return arguments.b.empty() ? "the data of " + arguments.a : arguments.b;
}

int tell(const std::string& metric, const Json& value, const Json& more, Json provenance,
         const Options& options, const std::string& line) {
  const bool averaged = provenance["samples"].value("averaged", false);
  provenance["program"] = version();
  provenance["jpeg_decoder"] = jpeg_decoder();
  Json out{{"metric", metric}, {"value", value}};
  for (const auto& [key, of] : more.items()) out[key] = of;
  out["provenance"] = provenance;
  if (options.json) fmt::print("{}\n", out.dump());
  else fmt::print("{} {}{}\n", metric, line, averaged ? ", averaged weights" : "");
  return 0;
}

InceptionLayer layer_named(const std::string& name) {
  for (const InceptionLayer layer : {InceptionLayer::pool64, InceptionLayer::pool192, InceptionLayer::pool768,
                                     InceptionLayer::pool1280, InceptionLayer::pool2048})
    if (name == dae::name(layer)) return layer;
  fail(Fault::usage, "--layer: expected 64, 192, 768, 1280 or 2048, found {}", name);
}

// Returns the metric's name: "FID", but "FID-768", because numbers of different layers cannot be compared.
std::string named(const std::string& metric, InceptionLayer layer) {
  return layer == InceptionLayer::pool2048 ? metric : metric + "-" + name(layer);
}

void need_reference(const EvalArguments& arguments) {
  if (arguments.b.empty() && !arguments.reconstructions)
    fail(Fault::usage, "eval {}: expected a reference beside {}, found none", arguments.metric, arguments.a);
}

const std::string& weights_of(const EvalArguments& arguments, const char* of) {
  if (arguments.weights.empty())
    fail(Fault::usage, "eval {}: expected --weights with {}, found none", arguments.metric, of);
  return arguments.weights;
}

// The statistics of a set, and its entry in the provenance.
struct Fitted {
  Statistics statistics;
  Json source;
};

void check_count(const Fitted& fitted, InceptionLayer layer) {
  const int64_t count = fitted.statistics.count, width = kInceptionWidths[size_t(layer)];
  if (count > 0 && count <= width)
    fail(Fault::usage,
         "{}: expected more than {} images for the covariance of layer {}, found {}; more images or another "
         "--layer",
         fitted.source["path"].get<std::string>(), width, name(layer), count);
}

// Checks that saved statistics were made with the same protocol and weights; otherwise the result means
// nothing. `weights` is the CRC-32 of the weights in use, read from `path_of_weights`. Empty: none are in use
// yet, and `saved` sets it.
void check_saved(const std::string& path, const SavedStatistics& saved, const Protocol& protocol,
                 const std::string& path_of_weights, std::string& weights, const Options& options) {
  if (saved.protocol.empty()) {
    if (!options.quiet)
      fmt::print(stderr,
                 "{}: does not say its protocol, layer, weights and count: taken as {} of the same weights\n",
                 path, protocol.name);
    return;
  }
  if (saved.protocol != protocol.name)
    fail(Fault::usage, "{}: expected statistics of protocol {}, found {}; add --protocol {}", path,
         protocol.name, saved.protocol, saved.protocol);
  if (weights.empty()) weights = saved.weights;
  if (saved.weights != weights)
    fail(Fault::usage, "{}: expected statistics by the weights of {}, CRC-32 {}, found {}; make them anew",
         path, path_of_weights, weights, saved.weights);
}

int frechet(const EvalArguments& arguments, const Options& options) {
  const bool spatial = arguments.metric == "sfid",
             only_save = !arguments.save_stats.empty() && arguments.b.empty() && !arguments.reconstructions;
  const InceptionLayer layer = spatial ? InceptionLayer::spatial : layer_named(arguments.layer);
  const Protocol& protocol = protocol_named(arguments.protocol);
  if (!only_save) need_reference(arguments);
  if (!arguments.save_stats.empty()) prepare_output(arguments.save_stats);
  std::optional<SavedStatistics> saved_a = read_statistics(arguments.a, layer), saved_b;
  if (!arguments.b.empty()) saved_b = read_statistics(arguments.b, layer);
  const Inputs in = open_both(arguments, options, saved_a.has_value(), saved_b.has_value());
  std::optional<InceptionNetwork> network;
  Json provenance{{"protocol", protocol.name}, {"layer", name(layer)}};
  std::string weights;  // CRC-32 of the weights in use
  if (in.a || in.b) {
    network = load_inception(weights_of(arguments, "Inception"), options.device);
    provenance["weights"] = described(*network);
    weights = network->crc32;
  }
  const std::string from = network ? network->path : arguments.a;
  if (saved_a) check_saved(arguments.a, *saved_a, protocol, from, weights, options);
  if (saved_b) check_saved(arguments.b, *saved_b, protocol, from, weights, options);
  std::vector<InceptionLayer> layers = {layer};
  // Saved statistics get both kinds, pooled and spatial, as far as weights and images allow.
  const InceptionLayer other = spatial ? layer_named(arguments.layer) : InceptionLayer::spatial;
  const auto fit = [&](const std::string& path, std::optional<SavedStatistics>& saved, ImageSet* images,
                       int64_t count, bool save) {
    if (saved) {
      const std::string crc = fmt::format("{:08x}", crc_of(read_file(path)));
      Fitted out{std::move(saved->statistics), described(path, saved->statistics.count, crc)};
      if (!out.statistics.count) out.source["count"] = nullptr;  // the count is not known
      check_count(out, layer);
      if (save)
        fail(Fault::usage, "--save-stats: expected images, found {}, which is saved statistics already",
             path);
      return out;
    }
    const int64_t available = count ? count : images->size();
    Fitted out{{}, described(path, available, "", images == in.a.get() ? in.run_a : in.run_b)};
    out.statistics.count = available;
    check_count(out, layer);  // before the features are computed
    std::vector<InceptionLayer> wanted = {layer};
    const auto& reach = network->layers;
    if (save && available > kInceptionWidths[size_t(other)] &&
        std::find(reach.begin(), reach.end(), other) != reach.end())
      wanted.push_back(other);
    const Features features = extract_features(*network, *images, protocol, wanted, count, options.quiet);
    out.statistics = statistics_of(features.at(layer));
    out.source["crc32"] = features.crc32;
    if (save) {
      std::optional<Statistics> second;
      if (wanted.size() > 1) second = statistics_of(features.at(other));
      const Statistics *first = &out.statistics, *beside = second ? &*second : nullptr;
      save_statistics(arguments.save_stats, spatial ? beside : first, spatial ? other : layer,
                      spatial ? first : beside, protocol.name, network->crc32);
    }
    return out;
  };
  const Fitted a = fit(arguments.a, saved_a, in.a.get(), in.count, !arguments.save_stats.empty());
  provenance["samples"] = a.source;
  const std::string metric = spatial ? "sFID" : named("FID", layer);
  if (only_save)
    return tell(metric, nullptr, {{"file", arguments.save_stats}}, provenance, options,
                fmt::format("statistics of {} images: {}", a.statistics.count, arguments.save_stats));
  const std::string reference = reference_path(arguments);
  const Fitted b = fit(reference, saved_b, in.b.get(), in.reference_count, false);
  provenance["reference"] = b.source;
  const double value = frechet_distance(a.statistics, b.statistics);
  const auto count = [](const Fitted& of) {
    return of.statistics.count ? fmt::format("{}", of.statistics.count) : std::string("an unknown number");
  };
  return tell(metric, value, Json::object(), provenance, options,
              fmt::format("{:.6g}  ({}, {} images against {})", value, protocol.name, count(a), count(b)));
}

int inception(const EvalArguments& arguments, const Options& options) {
  const Protocol& protocol = protocol_named(arguments.protocol);
  // This call throws the error.
  if (protocol.splits == Protocol::Splits::none) inception_score(Tensor({1, 1}), protocol);
  const Inputs in = open_both(arguments, options, false, false);
  const InceptionNetwork network = load_inception(weights_of(arguments, "Inception"), options.device);
  const Features features =
      extract_features(network, *in.a, protocol, {InceptionLayer::unbiased}, in.count, options.quiet);
  const MeanStd score = inception_score(features.at(InceptionLayer::unbiased), protocol);
  const Json provenance{{"protocol", protocol.name},
                        {"layer", name(InceptionLayer::unbiased)},
                        {"weights", described(network)},
                        {"samples", described(arguments.a, features.count, features.crc32, in.run_a)}};
  return tell(
      "IS", score.mean, {{"std", score.std}}, provenance, options,
      fmt::format("{:.6g} +- {:.3g}  ({}, {} images)", score.mean, score.std, protocol.name, features.count));
}

// Prints a metric of the features of both sets: kid or precision-recall.
int of_features(const EvalArguments& arguments, const Options& options) {
  const Protocol& protocol = protocol_named(arguments.protocol);
  const InceptionLayer layer = layer_named(arguments.layer);
  need_reference(arguments);
  const Inputs in = open_both(arguments, options, false, false);
  const InceptionNetwork network = load_inception(weights_of(arguments, "Inception"), options.device);
  const bool kid = arguments.metric == "kid";
  const auto features_of = [&](ImageSet& images, int64_t count) {
    const int64_t n = count ? count : images.size();
    if (kid && n < arguments.subset_size)  // before the features are computed
      fail(Fault::usage,
           "kid: expected at least {} images, the size of a subset, found {}; see --subset-size",
           arguments.subset_size, n);
    return extract_features(network, images, protocol, {layer}, count, options.quiet);
  };
  const Features a = features_of(*in.a, in.count), b = features_of(*in.b, in.reference_count);
  Json provenance{{"protocol", protocol.name},
                  {"layer", name(layer)},
                  {"weights", described(network)},
                  {"samples", described(arguments.a, a.count, a.crc32, in.run_a)},
                  {"reference", described(reference_path(arguments), b.count, b.crc32, in.run_b)}};
  const std::string against = fmt::format("({}, {} images against {})", protocol.name, a.count, b.count);
  if (kid) {
    const MeanStd score = kernel_distance(a.at(layer), b.at(layer), arguments.subsets, arguments.subset_size);
    provenance["subsets"] = arguments.subsets, provenance["subset_size"] = arguments.subset_size;
    return tell(named("KID", layer), score.mean, {{"std", score.std}}, provenance, options,
                fmt::format("{:.6g} +- {:.3g}  {}", score.mean, score.std, against));
  }
  const PrecisionRecall score = precision_recall(a.at(layer), b.at(layer));
  return tell(named("precision-recall", layer), {{"precision", score.precision}, {"recall", score.recall}},
              Json::object(), provenance, options,
              fmt::format("{:.4f} {:.4f}  {}", score.precision, score.recall, against));
}

int of_pairs(const EvalArguments& arguments, const Options& options, PairMetric metric) {
  need_reference(arguments);
  for (const std::string& path : {arguments.reconstructions ? std::string() : arguments.a, arguments.b})
    if (is_run(path))
      fail(Fault::usage,
           "eval {}: expected pairs, found samples of {}, which have no partner; --reconstructions of a run "
           "are paired with its data",
           arguments.metric, path);
  std::optional<LpipsNetwork> network;
  Json provenance = Json::object();
  if (metric == PairMetric::lpips) {
    network = load_lpips(weights_of(arguments, "LPIPS"), options.device);
    provenance["weights"] = described(*network);
  }
  const Inputs in = open_both(arguments, options, false, false);
  const PairScores scores = compare_pairs(metric, *in.a, *in.b, network ? &*network : nullptr, in.count,
                                          arguments.resize, options.quiet);
  const int64_t count = int64_t(scores.values.size());
  provenance["resize"] = arguments.resize;
  provenance["samples"] = described(arguments.a, count, scores.crc32_a, in.run_a);
  provenance["reference"] = described(reference_path(arguments), count, scores.crc32_b, in.run_b);
  const std::string name = metric == PairMetric::psnr   ? "PSNR"
                           : metric == PairMetric::ssim ? "SSIM"
                                                        : fmt::format("LPIPS-{}", dae::name(network->net));
  return tell(name, scores.mean, {{"values", scores.values}}, provenance, options,
              fmt::format("{:.6g}  (mean of {} pairs)", scores.mean, count));
}

}  // namespace

int evaluate(const EvalArguments& arguments, const Options& options) {
  if (arguments.metric == "fid" || arguments.metric == "sfid") return frechet(arguments, options);
  if (arguments.metric == "is") return inception(arguments, options);
  if (arguments.metric == "psnr") return of_pairs(arguments, options, PairMetric::psnr);
  if (arguments.metric == "ssim") return of_pairs(arguments, options, PairMetric::ssim);
  if (arguments.metric == "lpips") return of_pairs(arguments, options, PairMetric::lpips);
  return of_features(arguments, options);
}

}  // namespace dae
