// `dae inspect latent` prints statistics of the latents of runs, or of latents in files, side by side.
#include "train/evaluation/latent.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "data/files/file.h"
#include "engine/ops.h"
#include "train/feed/feed.h"
#include "train/io/weights.h"
#include "train/report/report.h"
#include "train/run/run_images.h"
#include "train/run/trained.h"
#include "train/verbs/verbs.h"

namespace dae {

namespace {

std::vector<int64_t> whole(const Tensor& labels) {
  std::vector<int64_t> out;
  for (const double v : labels.values()) out.push_back(int64_t(v));
  return out;
}

LatentReport of_run(const std::string& path, const LatentArguments& arguments, const Options& options) {
  const NoGrad off;
  const Trained run = load_trained(path, options.device, arguments.sets, arguments.raw);
  CanEncode* encoder = run.learner->encoder();
  if (!encoder)
    fail(Fault::usage, "latent: {}: expected a model with an encoder, found a {}", path,
         run.recipe.model.kind);
  const Examples examples(held_out(run.recipe).value_or(run.recipe));
  const int64_t count = std::min(arguments.count, examples.size());
  std::vector<Tensor> parts;
  std::vector<int64_t> labels;
  for (int64_t begin = 0; begin < count; begin += kExamplesAtOnce) {
    const Batch batch = examples.range(begin, std::min(begin + kExamplesAtOnce, count));
    const Tensor z = arguments.features ? encoder->features(batch.x) : encoder->encode(batch.x);
    parts.push_back(z.to(Device::cpu).to(Dtype::f32));
    const std::vector<int64_t> more = whole(batch.labels);
    labels.insert(labels.end(), more.begin(), more.end());
  }
  LatentReport out = examine_latents(path, concat(parts, 0), labels, arguments.neighbours);
  out.averaged = run.averages != nullptr;
  return out;
}

LatentReport of_file(const std::string& path, int64_t count, int64_t neighbours) {
  const TensorFile file(path);
  const TensorEntry* latents = file.find("latents");
  if (!latents)
    fail(Fault::data, "latent: {}: expected a tensor `latents` (N, ..., C), found none; and it is no run",
         path);
  Tensor x = tensor_of(path, *latents).to(Dtype::f32);
  std::vector<int64_t> labels;
  if (const TensorEntry* entry = file.find("labels")) labels = whole(tensor_of(path, *entry));
  if (!labels.empty() && int64_t(labels.size()) != x.dim(0))
    fail(Fault::data, "latent: {}: expected a label of each of {} latents, found {}", path, x.dim(0),
         labels.size());
  const int64_t n = x.rank() ? std::min(count, x.dim(0)) : 0;
  if (n > 0) x = slice(x, 0, 0, n);
  if (!labels.empty()) labels.resize(size_t(n));
  return examine_latents(path, x, labels, neighbours);
}

// Returns how many of the largest eigenvalues make up the given share of their sum.
int64_t directions(const LatentReport& r, double share) {
  const double all = std::accumulate(r.spectrum.begin(), r.spectrum.end(), 0.0);
  double sum = 0;
  for (size_t i = 0; i < r.spectrum.size(); ++i)
    if ((sum += r.spectrum[i]) >= share * all) return int64_t(i) + 1;
  return int64_t(r.spectrum.size());
}

nlohmann::ordered_json to_json(const LatentReport& r) {
  nlohmann::ordered_json out{
      {"name", r.name},           {"count", r.count},
      {"averaged", r.averaged},   {"mean", r.mean},
      {"deviation", r.deviation}, {"std", r.std},
      {"scale", r.scale},         {"spectrum_of", r.of_channels ? "channels" : "latent"},
      {"spectrum", r.spectrum},   {"effective_rank", r.effective_rank}};
  if (r.knn) out["knn"] = *r.knn, out["neighbours"] = r.neighbours, out["distance"] = "euclidean";
  return out;
}

// Returns "5-NN accuracy, Euclidean". The number is smaller where half of the latents are fewer.
std::string neighbours_name(const std::vector<LatentReport>& reports) {
  int64_t least = reports.front().neighbours, most = least;
  for (const LatentReport& r : reports)
    least = std::min(least, r.neighbours), most = std::max(most, r.neighbours);
  return fmt::format("{}-NN accuracy, Euclidean",
                     least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most));
}

void write_page(const std::string& path, const std::vector<LatentReport>& reports) {
  Report page("Latents");
  Chart spectra, sums;
  spectra.title = "eigenvalues of the covariance over the largest",
  sums.title = "share of the variance in the largest";
  spectra.smooth = sums.smooth = false, sums.from_zero = true;
  spectra.x_label = sums.x_label = "direction";
  Table table;
  table.header = {"",        "examples",   "std",
                  "scale",   "directions", "effective rank",
                  "90 % in", "99 % in",    neighbours_name(reports)};
  for (const LatentReport& r : reports) {
    Series eigen{r.name, {}, {}}, sum{r.name, {}, {}};
    const double all = std::accumulate(r.spectrum.begin(), r.spectrum.end(), 0.0);
    double so_far = 0;
    for (size_t i = 0; i < r.spectrum.size(); ++i) {
      const double value = r.spectrum[i] / r.spectrum[0];
      if (value > 1e-12) eigen.x.push_back(double(i + 1)), eigen.y.push_back(value);
      so_far += r.spectrum[i];
      sum.x.push_back(double(i + 1)), sum.y.push_back(so_far / all);
    }
    spectra.series.push_back(eigen), sums.series.push_back(sum);
    table.rows.push_back({r.name, fmt::format("{}", r.count), fmt::format("{:.4f}", r.std),
                          fmt::format("{:.5f}", r.scale), fmt::format("{}", r.spectrum.size()),
                          fmt::format("{:.2f}", r.effective_rank), fmt::format("{}", directions(r, 0.9)),
                          fmt::format("{}", directions(r, 0.99)),
                          r.knn ? fmt::format("{:.1f} %", 100 * *r.knn) : ""});
  }
  page.table(table);
  page.curves({spectra, sums});
  page.write(path);
}

}  // namespace

int inspect_latent(const LatentArguments& arguments, const Options& options) {
  const std::string ending = ".html";
  if (!arguments.out.empty() && !arguments.out.ends_with(ending))
    fail(Fault::usage, "--out {}: expected a name ending in .html", arguments.out);
  if (!arguments.out.empty()) prepare_output(arguments.out);
  std::vector<LatentReport> reports;
  for (const std::string& path : arguments.of)
    reports.push_back(is_run(path) ? of_run(path, arguments, options)
                                   : of_file(path, arguments.count, arguments.neighbours));
  if (!arguments.out.empty()) write_page(arguments.out, reports);
  if (options.json) {
    nlohmann::ordered_json out;
    for (const LatentReport& r : reports) out["latents"].push_back(to_json(r));
    if (!arguments.out.empty()) out["page"] = arguments.out;
    fmt::print("{}\n", out.dump());
    return 0;
  }
  const auto line = [&](const std::string& what, const auto& cell) {
    fmt::print("{:<34}", what);
    for (const LatentReport& r : reports) fmt::print(" {:>24}", cell(r));
    fmt::print("\n");
  };
  const auto range = [](const std::vector<double>& v) {
    const auto [low, high] = std::minmax_element(v.begin(), v.end());
    return fmt::format("{:.4g} .. {:.4g}", *low, *high);
  };
  line("", [](const LatentReport& r) {
    return r.name.size() > 24 ? ".." + r.name.substr(r.name.size() - 22) : r.name;
  });
  line("examples", [](const LatentReport& r) { return fmt::format("{}", r.count); });
  line("averaged weights", [](const LatentReport& r) { return std::string(r.averaged ? "yes" : "no"); });
  line("channels", [](const LatentReport& r) { return fmt::format("{}", r.mean.size()); });
  line("mean of a channel", [&](const LatentReport& r) { return range(r.mean); });
  line("deviation of a channel", [&](const LatentReport& r) { return range(r.deviation); });
  line("std of all values", [](const LatentReport& r) { return fmt::format("{:.5f}", r.std); });
  line("scale for variance 1", [](const LatentReport& r) { return fmt::format("{:.5f}", r.scale); });
  line("covariance of",
       [](const LatentReport& r) { return std::string(r.of_channels ? "channels" : "the latent"); });
  line("effective rank", [](const LatentReport& r) { return fmt::format("{:.2f}", r.effective_rank); });
  line("directions with 90 % of the variance",
       [](const LatentReport& r) { return fmt::format("{}", directions(r, 0.9)); });
  line("directions with 99 %", [](const LatentReport& r) { return fmt::format("{}", directions(r, 0.99)); });
  line(neighbours_name(reports) + ", half on half", [](const LatentReport& r) {
    return r.knn ? fmt::format("{:.1f} %", 100 * *r.knn) : std::string("no labels");
  });
  if (options.verbose)
    for (const LatentReport& r : reports) {
      fmt::print("\n{}: channel, mean, deviation\n", r.name);
      for (size_t c = 0; c < r.mean.size(); ++c)
        fmt::print("{:>6} {:>12.5f} {:>12.5f}\n", c, r.mean[c], r.deviation[c]);
    }
  if (!arguments.out.empty()) fmt::print("\n{}\n", arguments.out);
  return 0;
}

}  // namespace dae
