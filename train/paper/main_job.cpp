// `dae reproduce main` shows the paper's claim in a few minutes, in four parts, and writes a page with all of
// them:
//   1. theory
//   2. the toy table
//   3. a VAE beside a DAE that learn from pixels
//   4. a VAEGAN beside a DAE-VAEGAN
#include <fmt/core.h>

#include <algorithm>

#include "kernels/device/error.h"
#include "train/evaluation/baselines.h"
#include "train/feed/feed.h"
#include "train/io/run_lock.h"
#include "train/paper/comparison.h"
#include "train/paper/confidence.h"
#include "train/paper/paper.h"
#include "train/paper/theory.h"
#include "train/paper/toy_table.h"
#include "train/report/drawing.h"
#include "train/run/signals.h"
#include "train/run/trained.h"

namespace dae {

namespace {

using nlohmann::ordered_json;

// Settings for two cores: all runs together take about three minutes. --set is applied after them.
const std::vector<std::string> kPixels = {
    "model.width=0.125",     "model.z_dim=8",     "train.batch=32",     "train.steps=800",
    "loss.kl=1e-4",          "optimizer.lr=2e-3", "train.log_every=10", "train.checkpoint_every=200",
    "train.sample_every=200"};
const std::vector<std::string> kAdversarial = {"model.width=0.25",          "train.batch=32",
                                               "train.steps=200",           "train.log_every=5",
                                               "train.checkpoint_every=50", "train.sample_every=50"};
// A stage 2 this short needs learning rates of its own, and a discriminator that the fresh generator can
// face.
const std::vector<std::string> kPixelsDae = {"schedule.kind=dae", "schedule.rates=restart"};
const std::vector<std::string> kAdversarialDae = {"schedule.rates=restart", "schedule.discriminator=fresh"};
constexpr int64_t kPixelSeeds = 3;  // the pixel runs have at most so many seeds

struct Side {
  Contender of;
  double held_out = 0, training = 0;  // mean squared errors of a value
  RunRecord record = {};
};

// Two arms, trained alike, with one run each per seed. sides: a and b of the first seed, then a and b of the
// next.
struct Pair {
  std::string title, label;
  std::vector<std::string> names;
  std::vector<Side> sides = {};
  Baselines baselines = {};

  std::vector<double> errors(size_t arm) const {
    std::vector<double> out;
    for (size_t i = arm; i < sides.size(); i += 2) out.push_back(sides[i].held_out);
    return out;
  }
  Paired difference() const { return paired(errors(0), errors(1)); }
};

std::vector<std::string> joined(std::vector<std::string> sets, const std::vector<std::string>& more) {
  sets.insert(sets.end(), more.begin(), more.end());
  return sets;
}

Side judge(const Contender& contender, int64_t images) {
  Trained trained = load_trained(contender.run, contender.recipe.device);
  const double training = reconstruct_data(trained, images).value();
  trained.recipe = *held_out(trained.recipe);
  const double held_out = reconstruct_data(trained, images).value();
  return {contender, held_out, training, read_run(contender.run, contender.name)};
}

const char* data_name(const Recipe& recipe) {
  return recipe.data.kind == "cifar10" ? "CIFAR-10" : "the built-in procedural images";
}
std::string seeds_of(int64_t count, uint64_t first) {
  return count == 1 ? fmt::format("seed {}", first) : fmt::format("{} seeds from {}", count, first);
}
std::string pixels_label(const Recipe& recipe, int64_t seeds, uint64_t first) {
  return fmt::format(
      "A short run on {}: {} numbers a latent, width {}, {} steps of {} images, {}. Not in the paper: what "
      "they minimise is the squared error of pixels, which a few hundred steps can lower.",
      data_name(recipe), value(recipe, "model.z_dim"), value(recipe, "model.width"), recipe.train.steps,
      recipe.train.batch, seeds_of(seeds, first));
}
std::string adversarial_label(const Recipe& recipe) {
  const Recipe paper = load_recipe("vaegan-cifar10");
  return fmt::format(
      "A short run on {}: width {}, discriminator {}, {} steps of {} images, seed {}. The paper's budget "
      "is "
      "width {}, {} steps of {}.",
      data_name(recipe), value(recipe, "model.width"), value(recipe, "model.discriminator_width"),
      recipe.train.steps, recipe.train.batch, recipe.seed, value(paper, "model.width"), paper.train.steps,
      paper.train.batch);
}
std::string error_note(int64_t images) {
  return fmt::format(
      "Mean squared error of a value in [-1, 1], reconstructed from the posterior mean; {} images each.",
      images);
}

// Returns the table of errors: first the baselines, which need no training, then each arm.
Table error_table(const Pair& pair) {
  const Baselines& b = pair.baselines;
  const auto cell = [](double error) { return fmt::format("{:.4f}", error); };
  Table table{{"", "held-out images", "training images"}, {}, ""};
  table.rows = {
      {"one grey for all", cell(b.grey), "-"},
      {"each image's mean colour", cell(b.mean_colour), "-"},
      {fmt::format("PCA, {} numbers", value(pair.sides[0].of.recipe, "model.z_dim")), cell(b.pca), "-"}};
  for (size_t arm = 0; arm < 2; ++arm)
    for (size_t i = arm; i < pair.sides.size(); i += 2)
      table.rows.push_back(
          {pair.sides[i].of.name, cell(pair.sides[i].held_out), cell(pair.sides[i].training)});
  return table;
}

// Returns sentences that compare each arm with the baselines, and the two arms with each other.
std::vector<std::string> verdicts(const Pair& pair) {
  const Baselines& b = pair.baselines;
  const Paired p = pair.difference();
  std::vector<std::string> out;
  for (const auto& [name, error] : {std::pair{pair.names[0], p.mean_a}, {pair.names[1], p.mean_b}})
    out.push_back(fmt::format(
        "{}: {:.4f}, {}.", name, error,
        error < b.pca           ? "below PCA of as many numbers: it reconstructs"
        : error < b.mean_colour ? "between PCA and the mean colour: it shows more than colours, and PCA does "
                                  "better yet"
        : error < b.grey        ? "above the mean colour: it has not learned shapes yet"
                                : "no better than grey: it has learned nothing yet"));
  const std::string less = fmt::format("{} less {}: {:+.4f}", pair.names[1], pair.names[0], p.difference);
  if (p.count < 2)
    out.push_back(
        less + fmt::format(", one seed, which decides nothing. The paper finds {} better.", pair.names[1]));
  else
    out.push_back(
        fmt::format("{}, 95 % interval {:.4f} to {:.4f} over {} paired seeds: {}. The paper finds the "
                    "decoupled one better.",
                    less, p.difference - p.half_width, p.difference + p.half_width, p.count,
                    !p.decided()       ? "undecided"
                    : p.difference < 0 ? pair.names[1] + " is better here"
                                       : pair.names[1] + " is worse here"));
  for (const Side& side : pair.sides)
    if (const std::string line = warning(side.record); !line.empty()) out.push_back(line);
  return out;
}

void print_pair(const Pair& pair, int64_t images) {
  fmt::print("\n{}\n{}\n\n{}\n  {}\n", pair.title, pair.label, plain_text(error_table(pair)),
             error_note(images));
  for (const std::string& line : verdicts(pair)) fmt::print("  {}\n", line);
  std::vector<RunRecord> records;
  for (const Side& side : pair.sides) records.push_back(side.record);
  fmt::print("\n{}", plain_text(stage_table(records)));
  std::fflush(stdout);
}

ordered_json to_json(const Pair& pair, int64_t images) {
  const Recipe& recipe = pair.sides.front().of.recipe;
  const Paired p = pair.difference();
  ordered_json json = {{"label", pair.label},
                       {"data", recipe.data.kind},
                       {"width", number(recipe, "model.width")},
                       {"steps", recipe.train.steps},
                       {"batch", recipe.train.batch},
                       {"seed", recipe.seed},
                       {"images_judged", images},
                       {"baselines",
                        {{"grey", pair.baselines.grey},
                         {"mean_colour", pair.baselines.mean_colour},
                         {"pca", pair.baselines.pca}}},
                       {"difference", p.difference},
                       {"verdicts", verdicts(pair)},
                       {"rows", ordered_json::array()}};
  if (p.count > 1) json["interval"] = {p.difference - p.half_width, p.difference + p.half_width};
  for (const Side& side : pair.sides) {
    ordered_json stages = ordered_json::array();
    for (const StageCost& stage : side.record.stages)
      stages.push_back(
          {{"stage",
            side.of.recipe.schedule.kind == "joint" ? "joint" : fmt::format("stage {}", stage.stage)},
           {"steps", stage.to - stage.from},
           {"step_seconds", stage.step_seconds},
           {"peak_bytes", int64_t(stage.peak_bytes)},
           {"backward_nodes", stage.backward_nodes}});
    json["rows"].push_back({{"name", side.of.name},
                            {"run", side.of.run},
                            {"seed", side.of.recipe.seed},
                            {"mse_held_out", side.held_out},
                            {"mse_training", side.training},
                            {"stages", stages}});
  }
  return json;
}

struct Theory {
  std::vector<Finding> findings;
  size_t held() const {
    return size_t(
        std::count_if(findings.begin(), findings.end(), [](const Finding& f) { return f.holds(); }));
  }
  std::string sentence() const {
    return fmt::format("{} of {} statements of the paper's theory hold numerically.", held(),
                       findings.size());
  }
};

void add_theory(Report& page, const Theory& theory) {
  page.section("1. Theory");
  page.text(theory.sentence() + " The command dae reproduce theory prints each, expected beside found.");
  Table table{{"statement", "checks", "hold"}, {}, ""};
  for (const Finding& f : theory.findings) {
    if (table.rows.empty() || table.rows.back()[0] != f.statement)
      table.rows.push_back({f.statement, "0", "0"});
    std::vector<std::string>& row = table.rows.back();
    row[1] = std::to_string(std::stoi(row[1]) + 1);
    row[2] = std::to_string(std::stoi(row[2]) + f.holds());
  }
  page.table(table);
}

void add_toy(Report& page, const ToyTable& toy) {
  page.section("2. Toy study: 1-NN accuracy in percent");
  page.text(
      "Eight Gaussian clusters on a circle, mapped to 10 numbers, through a latent of 2. (enc, dec) are the "
      "widths "
      "of encoder and decoder; c weighs the reconstruction against the KL term.");
  Table table{{"", "(enc, dec)", "c", "here", "paper"}, {}, ""};
  for (const ToyTable::Row& row : toy.rows)
    table.rows.push_back(
        {row.name, row.config, fmt::format("{:g}", row.weight), text(row.here), text(row.paper)});
  page.table(table);
  for (const ToyTable::Claim& claim : toy.claims) page.text(in_words(claim));
  page.text(fmt::format("Mean (standard deviation) of {} seeds. {} {}", toy.seeds, toy.weights_note,
                        toy.variance_note));
  page.text(
      "The latents of the first seed, one colour a cluster: where clusters run together, no decoder can "
      "tell them apart.");
  page.scatters(toy.latents);
  Table extra{{"c", "(enc, dec)", "latent", "reconstruction"}, {}, "Every configuration at a common c"};
  for (const ToyTable::Extra& row : toy.extra)
    extra.rows.push_back(
        {fmt::format("{:g}", row.weight), row.config, text(row.latent), text(row.reconstruction)});
  page.table(extra);
}

// Adds curves and pictures of the first seed. The other seeds are in the table.
void add_pair(Report& page, const Pair& pair, int64_t images) {
  page.section(pair.title);
  page.text(pair.label);
  page.table(error_table(pair));
  page.text(error_note(images));
  for (const std::string& line : verdicts(pair)) page.text(line);
  const std::vector<RunRecord> first = {pair.sides[0].record, pair.sides[1].record};
  page.curves(metric_charts(first));
  page.table(glossary(first));
  add_films(page, first);
}

void write_page(const std::string& path, const Theory& theory, const ToyTable& toy,
                const std::vector<Pair>& pairs, int64_t images) {
  Report page("Decoupled autoencoders, in a few minutes",
              "Complexity Matters: Rethinking the Latent Space for Generative Modeling (arXiv 2307.08283)");
  page.text(kDaeSentence);
  page.drawings(dae_drawings());
  page.figures({{"theory", fmt::format("{} of {}", theory.held(), theory.findings.size())},
                {"toy orders that hold", fmt::format("{} of {}",
                                                     std::count_if(toy.claims.begin(), toy.claims.end(),
                                                                   [](const ToyTable::Claim& c) {
                                                                     return c.here.count > 1 &&
                                                                            c.here.decided() &&
                                                                            c.here.difference > 0;
                                                                   }),
                                                     toy.claims.size())},
                {"error, VAE", fmt::format("{:.4f}", pairs[0].difference().mean_a)},
                {"error, DAE", fmt::format("{:.4f}", pairs[0].difference().mean_b)},
                {"error, PCA", fmt::format("{:.4f}", pairs[0].baselines.pca)},
                {"error, mean colour", fmt::format("{:.4f}", pairs[0].baselines.mean_colour)}});
  add_theory(page, theory);
  add_toy(page, toy);
  std::vector<RunRecord> records;
  for (const Pair& pair : pairs) {
    add_pair(page, pair, images);
    records.insert(records.end(), {pair.sides[0].record, pair.sides[1].record});
  }
  add_costs(page, records);
  page.write(path);
}

}  // namespace

int reproduce_main(const MainArguments& arguments, const Options& options) {
  const SignalWatch watch;
  const uint64_t seed = options.seed.value_or(0);
  const std::vector<std::string> data = find_data("reproduce main", arguments.settings);
  const auto contender = [&](const std::string& name, const std::string& folder, const char* recipe,
                             std::vector<std::string> sets, uint64_t with_seed) {
    sets.push_back(fmt::format("seed={}", with_seed));
    sets.insert(sets.end(), data.begin(), data.end());
    sets.insert(sets.end(), arguments.sets.begin(), arguments.sets.end());
    Contender out{name, arguments.out + "/" + folder,
                  load_recipe(recipe, sets, options.device, Sets::shared)};
    // The discriminator is as wide as the generator, unless --set gives its width.
    const auto says = [](const std::string& set) { return set.starts_with("model.discriminator_width="); };
    if (!value(out.recipe, "model.discriminator_width").empty() &&
        std::none_of(arguments.sets.begin(), arguments.sets.end(), says))
      set(out.recipe, "model.discriminator_width=" + value(out.recipe, "model.width"));
    if (!held_out(out.recipe))
      fail(Fault::usage,
           "reproduce main: data: expected cifar10 with its test batch, or procedural, found {}",
           out.recipe.data.kind);
    return out;
  };
  const int64_t seeds = std::min(arguments.seeds, kPixelSeeds);
  const std::vector<std::string> none;
  std::vector<Contender> pixels;
  for (uint64_t s = seed; s < seed + uint64_t(seeds); ++s)
    for (const bool dae : {false, true}) {
      const std::string name = dae ? "DAE" : "VAE", folder = dae ? "dae" : "vae";
      pixels.push_back(contender(seeds == 1 ? name : fmt::format("{}, seed {}", name, s),
                                 fmt::format("{}-seed-{}", folder, s), "vae-cifar10",
                                 joined(kPixels, dae ? kPixelsDae : none), s));
    }
  const std::vector<Contender> adversarial = {
      contender("VAEGAN", "vaegan-cifar10", "vaegan-cifar10", kAdversarial, seed),
      contender("DAE-VAEGAN", "dae-vaegan-cifar10", "dae-vaegan-cifar10",
                joined(kAdversarial, kAdversarialDae), seed)};
  std::vector<Contender> all = pixels;
  all.insert(all.end(), adversarial.begin(), adversarial.end());
  std::vector<Recipe> recipes;
  for (const Contender& one : all) recipes.push_back(one.recipe);
  check_effect(arguments.sets, recipes);
  if (!arguments.force)
    check_same_settings("reproduce main", all, "choose another --out, or begin anew with --force");
  const RunLock lock(arguments.out);
  if (arguments.force) put_aside(all, options);

  const Theory theory{check_theory(seed)};
  if (!options.json) fmt::print("{}\n\n", theory.sentence()), std::fflush(stdout);
  const ToyTable toy =
      make_toy_table({.seeds = arguments.seeds}, options, [] { return signal_caught() != 0; });
  if (const int code = stopped(options)) return code;
  if (!options.json) print(toy);

  std::vector<Pair> pairs = {
      {"3. VAE and DAE on pictures", pixels_label(pixels[0].recipe, seeds, seed), {"VAE", "DAE"}},
      {"4. VAEGAN and DAE-VAEGAN", adversarial_label(adversarial[0].recipe), {"VAEGAN", "DAE-VAEGAN"}}};
  for (size_t i = 0; i < pairs.size(); ++i) {
    const std::vector<Contender>& runs = i == 0 ? pixels : adversarial;
    if (const int code = train_all(runs, options)) return code;
    if (!options.quiet) fmt::print(stderr, "\nreconstructing {} images of each kind\n", arguments.images);
    for (const Contender& run : runs) {
      pairs[i].sides.push_back(judge(run, arguments.images));
      if (const int code = stopped(options)) return code;
    }
    const Recipe& recipe = runs[0].recipe;
    pairs[i].baselines = measure_baselines(recipe, *held_out(recipe), arguments.images,
                                           int64_t(number(recipe, "model.z_dim")));
    if (!options.json) print_pair(pairs[i], arguments.images);
  }
  const std::string path = arguments.out + "/report.html";
  write_page(path, theory, toy, pairs, arguments.images);
  if (options.json) {
    ordered_json json = {{"table", "main"},
                         {"theory", {{"hold", theory.held()}, {"of", theory.findings.size()}}},
                         {"toy", to_json(toy)},
                         {"pixels", to_json(pairs[0], arguments.images)},
                         {"pair", to_json(pairs[1], arguments.images)},
                         {"report", path}};
    fmt::print("{}\n", json.dump());
  } else {
    fmt::print("\nReport: {}\n", path);
  }
  return 0;
}

}  // namespace dae
