#include "train/commands.h"

namespace {

void add_toy(CLI::App& app, Commands& commands) {
  CLI::App* sub = app.add_subcommand("toy", "the toy VAE: accuracies beside the paper's");
  const auto t = std::make_shared<ToyArguments>();
  sub->add_option("--seeds", t->seeds, "runs of each configuration")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  sub->add_option("--variance", t->variance, "of each cluster, per dimension")
      ->check(CLI::Range(1e-6, 1e3))
      ->capture_default_str();
  sub->add_option("--recon-weight", t->recon_weight, "weight c of the reconstruction term, in both halves")
      ->check(CLI::Range(1e-6, 1e3));
  sub->callback(
      [&commands, t] { commands.verb = [&commands, t] { return reproduce_toy(*t, commands.options); }; });
}

void add_main_job(CLI::App& app, Commands& commands) {
  CLI::App* sub =
      app.add_subcommand("main", "the toy table and a short VAEGAN beside DAE-VAEGAN, in a few minutes");
  const auto m = std::make_shared<MainArguments>();
  sub->add_option("settings", m->settings, "data=FOLDER: CIFAR-10's binary batches (or DAE_DATA)");
  sub->add_option("--set", m->sets, "key=value for both recipes, e.g. train.steps=1000")
      ->allow_extra_args(false);
  sub->add_option("--out", m->out, "folder of the two runs and the report")->capture_default_str();
  sub->add_option("--seeds", m->seeds, "runs of each toy configuration")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  sub->add_option("--images", m->images, "reconstructed of each kind to judge the pair")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  sub->callback(
      [&commands, m] { commands.verb = [&commands, m] { return reproduce_main(*m, commands.options); }; });
}

void add_compare(Commands& commands) {
  CLI::App* sub = commands.app.add_subcommand(
      "compare",
      "two recipes, or one in two settings, on the same budget and seeds, with confidence intervals");
  const auto c = std::make_shared<CompareArguments>();
  sub->add_option("A", c->a, "TOML file or the name of a shipped recipe")->required();
  sub->add_option("B", c->b, "another, or the same")->required();
  sub->add_option("--set", c->sets, "key=value for both, e.g. train.steps=1000")->allow_extra_args(false);
  sub->add_option("--set-a", c->sets_a, "key=value for A alone")->allow_extra_args(false);
  sub->add_option("--set-b", c->sets_b, "key=value for B alone")->allow_extra_args(false);
  sub->add_option("--seeds", c->seeds, "pairs of runs")->check(CLI::Range(1, 1000))->capture_default_str();
  sub->add_option("--images", c->images, "held out, reconstructed by each run")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  sub->add_option("--out", c->out, "folder of the runs and the report")->required();
  sub->callback([&commands, c] { commands.verb = [&commands, c] { return compare(*c, commands.options); }; });
}

}  // namespace

void add_reproduce(Commands& commands) {
  CLI::App* sub = commands.app.add_subcommand("reproduce", "make a table of the paper again");
  sub->require_subcommand(1);
  add_toy(*sub, commands);
  sub->add_subcommand("theory", "the statements that can be checked numerically, expected beside found")
      ->callback([&] { commands.verb = [&] { return reproduce_theory(commands.options); }; });
  add_main_job(*sub, commands);
  add_compare(commands);
}
