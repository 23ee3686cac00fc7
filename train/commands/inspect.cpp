#include "train/commands.h"

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

}  // namespace

void add_inspect(Commands& commands) {
  CLI::App* sub = commands.app.add_subcommand("inspect", "look into files and models");
  const auto i = std::make_shared<InspectArguments>();
  sub->add_option("file", i->file,
                  "safetensors, npz, npy, .pth, .ckpt, RUN or RUN@STEP: its tensors are listed");
  add_compare(*sub, commands);
  sub->callback([&commands, i, sub] {
    if (!sub->get_subcommands().empty()) return;
    if (i->file.empty()) throw CLI::RequiredError("inspect: a file");
    commands.verb = [&commands, i] { return inspect_file(*i, commands.options); };
  });
}
