#include "train/verbs/commands.h"

namespace dae {

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
  sub->add_flag("--force", m->force, "begin anew: runs that lie there already are put aside, as RUN.1");
  sub->add_option("--seeds", m->seeds, "runs of each toy configuration")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  sub->add_option("--images", m->images, "reconstructed of each kind to judge the pair")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  sub->callback(
      [&commands, m] { commands.verb = [&commands, m] { return reproduce_main(*m, commands.options); }; });
}

void add_cifar10(CLI::App& app, Commands& commands) {
  CLI::App* sub =
      app.add_subcommand("cifar10", "DCGAN, DCGAN-SimCLR, VAEGAN, DAE-VAEGAN beside the paper's scores");
  const auto c = std::make_shared<Cifar10Arguments>();
  sub->add_option("settings", c->settings, "data=FOLDER: CIFAR-10's binary batches (or DAE_DATA)");
  sub->add_option("--budget", c->budget, "minutes, or paper: the recipes as they are")
      ->check(CLI::IsMember({"minutes", "paper"}))
      ->capture_default_str();
  sub->add_option("--weights", c->weights, "Inception's, under pytorch-fid's names");
  sub->add_option("--protocol", c->protocol, "as of eval")->capture_default_str();
  sub->add_option("--images", c->images, "judged of each row (minutes: 1000, paper: 50000)")
      ->check(CLI::Range(1, 50000));
  sub->add_option("--encoder", c->encoder, "a SimCLR run or its weights, in place of one trained here");
  sub->add_option("--set", c->sets, "key=value for the four recipes, e.g. train.steps=1000")
      ->allow_extra_args(false);
  sub->add_option("--set-simclr", c->sets_simclr, "key=value for SimCLR's recipe")->allow_extra_args(false);
  sub->add_option("--seeds", c->seeds, "runs of each row")->check(CLI::Range(1, 1000))->capture_default_str();
  sub->add_flag("--markdown", c->markdown, "the table as Markdown");
  sub->add_option("--out", c->out, "folder of the runs and the report")->capture_default_str();
  sub->callback(
      [&commands, c] { commands.verb = [&commands, c] { return reproduce_cifar10(*c, commands.options); }; });
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
  add_cifar10(*sub, commands);
  add_compare(commands);
}

}  // namespace dae
