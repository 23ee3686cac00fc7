// `dae reproduce cifar10`: the paper's CIFAR-10 table, its four rows trained for the same steps and seeds.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "data/files/file.h"
#include "kernels/device/error.h"
#include "train/evaluation/features.h"
#include "train/evaluation/frechet.h"
#include "train/evaluation/scores.h"
#include "train/evaluation/statistics_file.h"
#include "train/feed/feed.h"
#include "train/io/run_lock.h"
#include "train/learners/upstream.h"
#include "train/paper/comparison.h"
#include "train/paper/confidence.h"
#include "train/paper/paper.h"
#include "train/run/run_images.h"
#include "train/run/signals.h"

namespace dae {

namespace fs = std::filesystem;

namespace {

using nlohmann::ordered_json;

// A row of the paper's table (section 6.2). Judged are draws from the prior or, with `reconstructions`,
// reconstructions of training images. For DCGAN-SimCLR these are the generator's images of SimCLR's
// projections.
struct PaperRow {
  const char *name, *recipe;
  bool reconstructions;
  double inception_score, fid;
};
constexpr PaperRow kRows[] = {{"DCGAN", "dcgan-cifar10", false, 5.68, 51.76},
                              {"DCGAN-SimCLR", "dcgan-simclr-cifar10", true, 3.93, 168.23},
                              {"VAEGAN", "vaegan-cifar10", true, 5.82, 48.11},
                              {"DAE-VAEGAN", "dae-vaegan-cifar10", true, 6.16, 46.12}};
// What the paper's table says, as pairs of rows: the first is better, with a lower FID and a higher Inception
// Score.
constexpr size_t kClaims[][2] = {{3, 2}, {2, 0}, {0, 1}};

struct Budget {
  std::vector<std::string> gan, simclr;  // --set values for the recipes
  int64_t images;                        // images judged per row, and of the reference
};
Budget budget_named(const std::string& name) {
  if (name == "paper") return {{}, {}, 50000};  // the settings of the recipes
  return {{"model.width=0.25", "model.discriminator_width=0.25", "train.batch=32", "train.steps=400",
           "train.log_every=10", "train.checkpoint_every=100", "train.sample_every=100"},
          {"model.width=0.25", "train.batch=64", "train.steps=300", "train.log_every=10",
           "train.checkpoint_every=100", "probe.every=100", "probe.train=2000", "probe.test=500"},
          1000};
}

// The measurements of a run; NaN: not measured.
struct Judged {
  double error = NAN;  // mean squared error of a value in [-1, 1], held-out images
  double fid = NAN, inception_score = NAN;
  std::string crc32;  // of the images that were judged
};

// Judges runs. Without Inception weights it measures no FID and no Inception Score. It then shows those that
// the run has from before, if they are for as many images and the same protocol.
class Judge {
 public:
  Judge(const Cifar10Arguments& arguments, int64_t images, const Options& options)
      : protocol_(protocol_named(arguments.protocol)),
        images_(images),
        quiet_(options.quiet),
        folder_(arguments.out) {
    if (arguments.weights.empty()) return;
    network_ = load_inception(arguments.weights, options.device);
    if (reaches(InceptionLayer::pool2048)) layer_ = InceptionLayer::pool2048;
    network_->require(layer_);
    const int64_t width = kInceptionWidths[size_t(layer_)];
    if (images_ <= width)
      fail(Fault::usage,
           "reproduce cifar10: --images: expected more than {}, the width of the features, found {}", width,
           images_);
    has_score_ = reaches(InceptionLayer::unbiased) && protocol_.splits != Protocol::Splits::none;
  }
  bool has_fid() const { return of_.contains("metric"); }
  std::string fid_name() const { return of_.value("metric", "FID"); }
  // Returns what the table's figures depend on: protocol, weights, reference.
  const ordered_json& provenance() const { return of_; }
  // Returns the measurements of a finished run. They are kept in the run folder, beside those made by other
  // means, and read back if they were made by the same means.
  Judged operator()(const Contender& run, bool reconstructions) {
    const std::string file = run.run + "/judged.json";
    ordered_json all = ordered_json::array();
    std::error_code none;
    if (fs::exists(file, none)) all = ordered_json::parse(read_file(file), nullptr, false);
    if (!all.is_array()) fail(Fault::data, "{}: expected a JSON array, found none; move it away", file);
    identify(run.recipe, all);
    const ordered_json measured = network_ ? of_ : ordered_json{{"images", images_}};
    for (const ordered_json& of : {of_, measured})
      for (const ordered_json& kept : all)
        if (kept.value("of", ordered_json()) == of) return from_json(kept);
    if (!quiet_) fmt::print(stderr, "\njudging {}\n", run.name);
    Judged out;
    Trained trained = load_trained(run.run, run.recipe.device);
    if (reconstructions) {
      const Recipe training = std::exchange(trained.recipe, *held_out(trained.recipe));
      out.error = reconstruct_data(trained, std::min<int64_t>(images_, 10000)).value();
      trained.recipe = training;
    }
    if (network_) {
      const std::unique_ptr<ImageSet> images = reconstructions
                                                   ? reconstructions_of(trained, images_).reconstructions
                                                   : samples_of(std::move(trained), images_);
      const Features features = extract(*images);
      out.crc32 = features.crc32;
      out.fid = frechet_distance(statistics_of(features.at(layer_)), reference(run.recipe));
      if (has_score_)
        out.inception_score = inception_score(features.at(InceptionLayer::unbiased), protocol_).mean;
    }
    all.push_back(to_json(out));
    all.back()["of"] = measured;
    write_file(file, all.dump() + "\n");
    return out;
  }
  static ordered_json to_json(const Judged& judged) {  // NaN becomes null
    return {{"error_held_out", judged.error},
            {"fid", judged.fid},
            {"inception_score", judged.inception_score},
            {"crc32", judged.crc32}};
  }

 private:
  static Judged from_json(const ordered_json& json) {
    const auto number = [&](const char* key) {
      return json.contains(key) && json[key].is_number() ? json[key].get<double>() : NAN;
    };
    return {number("error_held_out"), number("fid"), number("inception_score"), json.value("crc32", "")};
  }
  bool reaches(InceptionLayer layer) const {
    return std::find(network_->layers.begin(), network_->layers.end(), layer) != network_->layers.end();
  }
  Features extract(ImageSet& images) const {
    std::vector<InceptionLayer> layers = {layer_};
    if (has_score_) layers.push_back(InceptionLayer::unbiased);
    return extract_features(*network_, images, protocol_, layers, images_, quiet_);
  }
  // Sets of_ at the first run: what is measured now or, without weights, what the last figures of the run
  // were measured with.
  void identify(const Recipe& recipe, const ordered_json& kept) {
    if (!of_.is_null() && (network_ || has_fid())) return;
    of_ = {{"images", images_}};
    if (!network_) {
      for (const ordered_json& one : kept)
        if (const ordered_json of = one.value("of", ordered_json());
            of.contains("metric") && of["images"] == images_ && of["protocol"] == protocol_.name)
          of_ = of;
      return;
    }
    const std::unique_ptr<ImageSet> images = data_of(recipe, images_);
    uint32_t crc = 0;
    for (int64_t i = 0; i < images_; ++i) crc = crc_of_image(images->read(i, i + 1)[0], crc);
    of_["metric"] =
        layer_ == InceptionLayer::pool2048 ? std::string("FID") : fmt::format("FID-{}", name(layer_));
    of_["protocol"] = protocol_.name;
    of_["weights_crc32"] = network_->crc32;
    of_["reference_crc32"] = fmt::format("{:08x}", crc);
  }
  // Returns the statistics of the first training images, the same for all rows. They are kept in the table's
  // folder under a hash of what they depend on.
  const Statistics& reference(const Recipe& recipe) {
    if (reference_) return *reference_;
    const std::string file = fmt::format("{}/reference-{:08x}.npz", folder_, crc_of(of_.dump()));
    if (std::optional<SavedStatistics> saved = read_statistics(file, layer_))
      return reference_.emplace(std::move(saved->statistics));
    if (!quiet_) fmt::print(stderr, "\nreference: {} training images\n", images_);
    reference_ = statistics_of(extract(*data_of(recipe, images_)).at(layer_));
    save_statistics(file, &*reference_, layer_, nullptr, protocol_.name, network_->crc32);
    return *reference_;
  }

  std::optional<InceptionNetwork> network_;
  const Protocol& protocol_;
  int64_t images_;
  bool quiet_, has_score_ = false;
  std::string folder_;
  InceptionLayer layer_ = InceptionLayer::pool768;
  ordered_json of_;  // what the figures depend on; null before the first run
  std::optional<Statistics> reference_;
};

struct Row {
  const PaperRow* paper;
  std::vector<Contender> runs;  // one per seed
  std::vector<Judged> judged;
  std::vector<double> all(double Judged::*which) const {
    std::vector<double> out;
    for (const Judged& one : judged) out.push_back(one.*which);
    return out;
  }
};

std::string text(const Row& row, double Judged::*which, int decimals) {
  const std::vector<double> values = row.all(which);
  const Paired p = paired(values, values);
  if (std::isnan(p.mean_a)) return "-";
  std::string out = fmt::format("{:.{}f}", p.mean_a, decimals);
  if (p.count > 1) out += fmt::format(" ({:.{}f})", p.std_a, decimals);
  return out;
}

struct Claim {
  std::string statement, verdict;
};
std::vector<Claim> claims_of(const std::vector<Row>& rows, const Judge& judge) {
  std::vector<Claim> out;
  for (const auto& [better, worse] : kClaims) {
    const Row &a = rows[better], &b = rows[worse];
    out.push_back({fmt::format("{} has a lower {} than {}", a.paper->name, judge.fid_name(), b.paper->name),
                   lies_below(paired(a.all(&Judged::fid), b.all(&Judged::fid)))});
    out.push_back({fmt::format("{} has a higher Inception Score than {}", a.paper->name, b.paper->name),
                   lies_below(paired(b.all(&Judged::inception_score), a.all(&Judged::inception_score)))});
  }
  return out;
}

Table table_of(const std::vector<Row>& rows, const Judge& judge) {
  Table table{{"", judge.fid_name(), "paper's FID", "IS", "paper's IS", "error, held out"}, {}, ""};
  for (const Row& row : rows)
    table.rows.push_back({row.paper->name, text(row, &Judged::fid, judge.fid_name() == "FID" ? 2 : 4),
                          fmt::format("{:.2f}", row.paper->fid), text(row, &Judged::inception_score, 2),
                          fmt::format("{:.2f}", row.paper->inception_score), text(row, &Judged::error, 4)});
  return table;
}

std::string label_of(const std::vector<Row>& rows, const Cifar10Arguments& arguments, uint64_t first,
                     int64_t images) {
  const Recipe& recipe = rows.front().runs.front().recipe;
  const Recipe paper = load_recipe(rows.front().paper->recipe);
  std::string out = fmt::format(
      "{}: width {}, {} steps of {} images for every row, {} seed{} from {}; {} images judged.",
      recipe.data.kind == "cifar10" ? "CIFAR-10" : "Built-in procedural images", value(recipe, "model.width"),
      recipe.train.steps, recipe.train.batch, arguments.seeds, arguments.seeds > 1 ? "s" : "", first, images);
  if (value(recipe, "model.width") != value(paper, "model.width") ||
      recipe.train.steps != paper.train.steps || recipe.train.batch != paper.train.batch)
    out += fmt::format(" A short run: the paper's budget is width {}, {} steps of {}.",
                       value(paper, "model.width"), paper.train.steps, paper.train.batch);
  return out;
}

// Checks before hours of training that each setting has an effect on a row.
void check_sets(const Cifar10Arguments& arguments, const std::vector<std::string>& data, Device device) {
  const auto recipe_of = [&](const std::string& recipe, std::vector<std::string> sets) {
    sets.insert(sets.begin(), data.begin(), data.end());
    sets.push_back("upstream.run=its");
    return load_recipe(recipe, sets, device, Sets::shared);
  };
  std::vector<Recipe> rows;
  for (const PaperRow& row : kRows) rows.push_back(recipe_of(row.recipe, arguments.sets));
  check_effect(arguments.sets, rows);
  check_effect(arguments.sets_simclr, {recipe_of("simclr-cifar10", arguments.sets_simclr)});
}

constexpr const char* kNote =
    "Judged: samples of DCGAN, reconstructions of training images of the others (of DCGAN-SimCLR: the "
    "generator "
    "on their projections), against the same number of training images. FID of another layer than 2048 is "
    "named by it and is not on the paper's scale.";

}  // namespace

int reproduce_cifar10(const Cifar10Arguments& arguments, const Options& options) {
  const SignalWatch watch;
  const char* verb = "reproduce cifar10";
  const Budget budget = budget_named(arguments.budget);
  const int64_t images = arguments.images.value_or(budget.images);
  // first, so that a missing file is reported before hours of training
  Judge judge(arguments, images, options);
  const std::vector<std::string> data = find_data(verb, arguments.settings);
  check_sets(arguments, data, options.device);
  const uint64_t first = options.seed.value_or(0);

  std::optional<RunLock> lock;
  std::vector<Row> rows;
  for (const PaperRow& paper : kRows) rows.push_back({&paper, {}, {}});
  std::vector<RunRecord> records;
  for (uint64_t seed = first; seed < first + uint64_t(arguments.seeds); ++seed) {
    const auto contender = [&](const std::string& name, const std::string& recipe,
                               const std::vector<std::string>& sets, const std::vector<std::string>& more) {
      std::vector<std::string> all = sets;
      all.push_back(fmt::format("seed={}", seed));
      all.insert(all.end(), data.begin(), data.end());
      all.insert(all.end(), more.begin(), more.end());
      const std::string shown = arguments.seeds > 1 ? fmt::format("{}, seed {}", name, seed) : name;
      Contender out{shown, fmt::format("{}/seed-{}/{}", arguments.out, seed, recipe),
                    load_recipe(recipe, all, options.device, Sets::shared)};
      if (!held_out(out.recipe))
        fail(Fault::usage, "{}: data: expected cifar10 with its test batch, or procedural, found {}", verb,
             out.recipe.data.kind);
      check_same_settings(verb, {out});
      if (!lock) lock.emplace(arguments.out);  // after the checks of the table
      return out;
    };
    std::string encoder = arguments.encoder;
    if (encoder.empty()) {
      const Contender simclr = contender("SimCLR", "simclr-cifar10", budget.simclr, arguments.sets_simclr);
      if (const int code = train_all({simclr}, options)) return code;
      if (seed == first) records.push_back(read_run(simclr.run, simclr.name));
      encoder = simclr.run;
    }
    for (Row& row : rows) {
      std::vector<std::string> sets = arguments.sets;
      if (row.paper->recipe == std::string("dcgan-simclr-cifar10")) {
        sets.push_back("upstream.run=" + toml_string(encoder));
        sets.push_back("upstream.hash=" +
                       Upstream(load_recipe(row.paper->recipe, sets, options.device, Sets::shared)).hash());
      }
      const Contender run = contender(row.paper->name, row.paper->recipe, budget.gan, sets);
      if (const int code = train_all({run}, options)) return code;
      row.runs.push_back(run);
      row.judged.push_back(judge(run, row.paper->reconstructions));
      if (const int code = stopped(options)) return code;
      if (seed == first) records.push_back(read_run(run.run, run.name));
    }
  }

  const std::string label = label_of(rows, arguments, first, images), path = arguments.out + "/report.html";
  const Table table = table_of(rows, judge);
  const std::vector<Claim> claims = claims_of(rows, judge);
  Table verdicts{{"the paper's table says", "here"}, {}, ""};
  for (const Claim& claim : claims) verdicts.rows.push_back({claim.statement, claim.verdict});
  Report page("The CIFAR-10 table", label);
  page.section("Scores");
  page.table(table);
  page.text(kNote);
  page.table(verdicts);
  add_runs(page, records);
  page.write(path);

  if (options.json) {
    ordered_json json = {{"table", "cifar10"},
                         {"label", label},
                         {"budget", arguments.budget},
                         {"provenance", judge.provenance()},
                         {"rows", ordered_json::array()},
                         {"claims", ordered_json::array()},
                         {"report", path}};
    for (const Row& row : rows) {
      json["rows"].push_back({{"name", row.paper->name},
                              {"paper_fid", row.paper->fid},
                              {"paper_inception_score", row.paper->inception_score},
                              {"runs", ordered_json::array()}});
      for (size_t i = 0; i < row.runs.size(); ++i) {
        ordered_json one = {{"run", row.runs[i].run}, {"seed", first + i}};
        one.update(Judge::to_json(row.judged[i]));
        json["rows"].back()["runs"].push_back(one);
      }
    }
    for (const Claim& claim : claims)
      json["claims"].push_back({{"statement", claim.statement}, {"verdict", claim.verdict}});
    fmt::print("{}\n", json.dump());
    return 0;
  }
  fmt::print("{}\n\n", label);
  fmt::print("{}", arguments.markdown ? markdown(table) : plain_text(table));
  fmt::print("\n{}\n\n", kNote);
  if (!judge.has_fid()) fmt::print("FID and Inception Score need Inception's weights: --weights FILE.\n\n");
  for (const Claim& claim : claims)
    fmt::print("{}{:<52} {}\n", arguments.markdown ? "- " : "  ", claim.statement + ":", claim.verdict);
  fmt::print("\nReport: {}\n", path);
  return 0;
}

}  // namespace dae
