// `dae reproduce main`: the paper's claim in a few minutes. The toy table, then a short VAEGAN beside a short
// DAE-VAEGAN, and a page that shows both.
#include <fmt/core.h>

#include "kernels/error.h"
#include "train/comparison.h"
#include "train/feed.h"
#include "train/run_lock.h"
#include "train/signals.h"
#include "train/trained.h"
#include "train/verbs/toy_table.h"

namespace {

using nlohmann::ordered_json;

// Chosen for two cores: the pair takes about two minutes. --set comes after them.
const std::vector<std::string> kShort = {
    "model.width=0.25",           "train.batch=32",        "train.steps=400", "train.log_every=10",
    "train.checkpoint_every=100", "train.sample_every=100"};

struct Side {
  Contender of;
  double held_out = 0, training = 0;  // mean squared error of a value
  RunRecord record = {};
};

Side judge(const Contender& contender, int64_t images) {
  Trained trained = load_trained(contender.run, contender.recipe.device);
  const double training = reconstruct_data(trained, images).value();
  trained.recipe = *held_out(trained.recipe);
  const double held_out = reconstruct_data(trained, images).value();
  return {contender, held_out, training, read_run(contender.run, contender.name)};
}

std::string label_of(const Recipe& recipe) {
  const Recipe paper = load_recipe("vaegan-cifar10");
  return fmt::format(
      "A short run on {}: width {:g}, {} steps of {} images, seed {}. The paper's budget is width {:g}, {} "
      "steps of {}.",
      recipe.data.kind == "cifar10" ? "CIFAR-10" : "the built-in procedural images", recipe.model.width,
      recipe.train.steps, recipe.train.batch, recipe.seed, paper.model.width, paper.train.steps,
      paper.train.batch);
}
std::string error_note(int64_t images) {
  return fmt::format(
      "Mean squared error of a value in [-1, 1], reconstructed from the posterior mean; {} images each.",
      images);
}

std::string stage_name(const Side& side, const StageCost& stage) {
  return side.of.recipe.schedule.kind == "joint" ? "joint" : fmt::format("stage {}", stage.stage);
}

void print_pair(const std::vector<Side>& sides, const std::string& label, int64_t images) {
  fmt::print("\nVAEGAN and DAE-VAEGAN\n{}\n\n", label);
  fmt::print("  {:<12} {:>18} {:>18}\n  {:<12} {:>18} {:>18}\n", "", "error, held out", "error, training", "",
             "images", "images");
  for (const Side& side : sides)
    fmt::print("  {:<12} {:>18.5f} {:>18.5f}\n", side.of.name, side.held_out, side.training);
  fmt::print("\n  {}\n", error_note(images));
  fmt::print("\n  {:<12} {:<8} {:>10} {:>14} {:>17} {:>16}\n", "", "", "steps", "step time, ms",
             "peak memory, MiB", "backward nodes");
  for (const Side& side : sides)
    for (const StageCost& stage : side.record.stages)
      fmt::print("  {:<12} {:<8} {:>10} {:>14.1f} {:>17.1f} {:>16.0f}\n", side.of.name,
                 stage_name(side, stage), stage.to - stage.from, 1e3 * stage.step_seconds,
                 stage.peak_bytes / 1048576, stage.backward_nodes);
}

ordered_json pair_json(const std::vector<Side>& sides, const std::string& label, int64_t images) {
  const Recipe& recipe = sides.front().of.recipe;
  ordered_json json = {{"label", label},
                       {"data", recipe.data.kind},
                       {"width", recipe.model.width},
                       {"steps", recipe.train.steps},
                       {"batch", recipe.train.batch},
                       {"seed", recipe.seed},
                       {"images_judged", images},
                       {"rows", ordered_json::array()}};
  for (const Side& side : sides) {
    ordered_json stages = ordered_json::array();
    for (const StageCost& stage : side.record.stages)
      stages.push_back({{"stage", stage_name(side, stage)},
                        {"steps", stage.to - stage.from},
                        {"step_seconds", stage.step_seconds},
                        {"peak_bytes", int64_t(stage.peak_bytes)},
                        {"backward_nodes", stage.backward_nodes}});
    json["rows"].push_back({{"name", side.of.name},
                            {"run", side.of.run},
                            {"mse_held_out", side.held_out},
                            {"mse_training", side.training},
                            {"stages", stages}});
  }
  return json;
}

void write_page(const std::string& path, const ToyTable& toy, const std::vector<Side>& sides,
                const std::string& label, int64_t images) {
  Report page("The toy table, and VAEGAN beside DAE-VAEGAN", label);
  page.section("Toy study: 1-NN accuracy in percent");
  Table table{{"", "(enc, dec)", "c", "here", "paper"}, {}, ""};
  for (const ToyTable::Row& row : toy.rows)
    table.rows.push_back(
        {row.name, row.config, fmt::format("{:g}", row.weight), text(row.here), text(row.paper)});
  page.table(table);
  page.text(fmt::format("Mean (standard deviation) of {} seeds. {} {}", toy.seeds, toy.weights_note,
                        toy.variance_note));
  Table extra{{"c", "(enc, dec)", "latent", "reconstruction"}, {}, "Every configuration at a common c"};
  for (const ToyTable::Extra& row : toy.extra)
    extra.rows.push_back(
        {fmt::format("{:g}", row.weight), row.config, text(row.latent), text(row.reconstruction)});
  page.table(extra);

  page.section("Reconstruction error");
  Table errors{{"", "held-out images", "training images"}, {}, ""};
  std::vector<RunRecord> records;
  for (const Side& side : sides) {
    errors.rows.push_back(
        {side.of.name, fmt::format("{:.5f}", side.held_out), fmt::format("{:.5f}", side.training)});
    records.push_back(side.record);
  }
  page.table(errors);
  page.text(error_note(images) + " " + label);
  add_runs(page, records);
  page.write(path);
}

}  // namespace

int reproduce_main(const MainArguments& arguments, const Options& options) {
  const SignalWatch watch;
  const uint64_t seed = options.seed.value_or(0);
  const std::vector<std::string> data = find_data("reproduce main", arguments.settings);
  std::vector<Contender> pair;
  for (const auto& [name, recipe] :
       {std::pair{"VAEGAN", "vaegan-cifar10"}, {"DAE-VAEGAN", "dae-vaegan-cifar10"}}) {
    std::vector<std::string> sets = kShort;
    sets.push_back(fmt::format("seed={}", seed));
    sets.insert(sets.end(), data.begin(), data.end());
    sets.insert(sets.end(), arguments.sets.begin(), arguments.sets.end());
    pair.push_back({name, arguments.out + "/" + recipe, load_recipe(recipe, sets)});
    pair.back().recipe.device = options.device;
    if (!held_out(pair.back().recipe))
      fail(Fault::usage,
           "reproduce main: data: expected cifar10 with its test batch, or procedural, found {}",
           pair.back().recipe.data.kind);
  }
  if (!arguments.force)
    check_same_settings("reproduce main", pair, "choose another --out, or begin anew with --force");
  const RunLock lock(arguments.out);
  if (arguments.force) put_aside(pair, options);

  const ToyTable toy =
      make_toy_table({.seeds = arguments.seeds}, options, [] { return signal_caught() != 0; });
  if (const int code = stopped(options)) return code;
  if (!options.json) print(toy);
  if (const int code = train_all(pair, options)) return code;
  if (!options.quiet) fmt::print(stderr, "\nreconstructing {} images of each kind\n", arguments.images);
  std::vector<Side> sides;
  for (const Contender& contender : pair) {
    sides.push_back(judge(contender, arguments.images));
    if (const int code = stopped(options)) return code;
  }
  const std::string label = label_of(sides.front().of.recipe), path = arguments.out + "/report.html";
  write_page(path, toy, sides, label, arguments.images);
  if (options.json) {
    ordered_json json = {{"table", "main"},
                         {"toy", to_json(toy)},
                         {"pair", pair_json(sides, label, arguments.images)},
                         {"report", path}};
    fmt::print("{}\n", json.dump());
  } else {
    print_pair(sides, label, arguments.images);
    fmt::print("\nReport: {}\n", path);
  }
  return 0;
}
