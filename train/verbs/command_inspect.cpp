#include "train/verbs/commands.h"

namespace dae {

namespace {

void add_compare(CLI::App& inspect, Commands& commands) {
  CLI::App* sub = inspect.add_subcommand("compare", "errors of a file's tensors against another's, by name");
  const auto i = std::make_shared<InspectArguments>();
  sub->add_option("A", i->file, "file, RUN or RUN@STEP")->required();
  sub->add_option("B", i->other, "what A is compared with")->required();
  sub->add_option("--tolerance", i->tolerance,
                  "largest relative error |a - b| / |b| of a tensor; beyond: exit code 1")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  sub->callback(
      [&commands, i] { commands.verb = [&commands, i] { return inspect_compare(*i, commands.options); }; });
}

void add_lipschitz(CLI::App& inspect, Commands& commands) {
  CLI::App* sub = inspect.add_subcommand("lipschitz", "how much a run's encoder and decoder stretch");
  const auto l = std::make_shared<LipschitzArguments>();
  sub->add_option("run", l->run, "run folder, or RUN@STEP")->required();
  sub->add_option("--pairs", l->pairs, "random pairs of examples")
      ->check(CLI::Range(1, 100000000))
      ->capture_default_str();
  sub->add_option("--weights", l->weights, "LPIPS weights: its distances of images too");
  sub->add_flag("--raw", l->raw, kRaw);
  sub->add_flag("--rms", l->rms, "distances of a value, so that sizes of image and latent do not matter");
  sub->add_option("--set", l->sets, "key=value in place of the recipe's, e.g. data.path=FOLDER")
      ->allow_extra_args(false);
  sub->callback(
      [&commands, l] { commands.verb = [&commands, l] { return inspect_lipschitz(*l, commands.options); }; });
}

void add_latent(CLI::App& inspect, Commands& commands) {
  CLI::App* sub = inspect.add_subcommand("latent", "scale, spectrum, rank and neighbours of latents");
  const auto l = std::make_shared<LatentArguments>();
  sub->add_option("of", l->of, "runs, RUN@STEP, or files with `latents` and maybe `labels`: side by side")
      ->required();
  sub->add_option("--count", l->count, "examples")->check(CLI::Range(2, 100000000))->capture_default_str();
  sub->add_option("--neighbours", l->neighbours, "nearest by Euclidean distance that vote on a label")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  sub->add_flag("--features", l->features, "of a run: the features that a probe judges, not the latent");
  sub->add_flag("--raw", l->raw, kRaw);
  sub->add_option("--out", l->out, "page.html with the spectra");
  sub->add_option("--set", l->sets, "key=value in place of the recipes', e.g. data.path=FOLDER")
      ->allow_extra_args(false);
  sub->callback(
      [&commands, l] { commands.verb = [&commands, l] { return inspect_latent(*l, commands.options); }; });
}

}  // namespace

void add_inspect(Commands& commands) {
  CLI::App* sub = commands.app.add_subcommand("inspect", "look into files and models");
  const auto i = std::make_shared<InspectArguments>();
  sub->add_option("file", i->file,
                  "safetensors, npz, npy, .pth, .ckpt, RUN or RUN@STEP: its tensors are listed")
      ->check(file_or_subcommand(*sub));
  add_compare(*sub, commands);
  add_lipschitz(*sub, commands);
  add_latent(*sub, commands);
  sub->callback([&commands, i, sub] {
    if (!sub->get_subcommands().empty()) return;
    if (i->file.empty()) throw CLI::RequiredError("inspect: a file");
    commands.verb = [&commands, i] { return inspect_file(*i, commands.options); };
  });
}

}  // namespace dae
