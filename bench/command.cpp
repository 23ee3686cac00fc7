#include "train/verbs/commands.h"

namespace dae {

void add_bench(Commands& commands) {
  CLI::App* bench =
      commands.app.add_subcommand("bench", "time training steps and ops against the machine's own ceilings");
  const auto b = std::make_shared<BenchArguments>();
  bench->add_option("--filter", b->filter,
                    "only rows whose \"op shape variant\" matches this regular expression");
  bench->add_flag("--list", b->list, "print the names of the rows; time nothing");
  bench->add_option("--seconds", b->seconds, "for each row")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  bench->add_option("--save", b->save,
                    "write the result as JSON to this file after each row, beside what is printed");
  bench->add_flag("--markdown", b->markdown, "tables as Markdown");
  bench->callback([&commands, b] {
    if (!commands.verb) commands.verb = [&commands, b] { return run_bench(*b, commands.options); };
  });
  CLI::App* compare = bench->add_subcommand("compare", "two results side by side");
  compare->add_option("A", b->first, "a file written with --json")->required();
  compare->add_option("B", b->second, "another")->required();
  compare->callback(
      [&commands, b] { commands.verb = [&commands, b] { return compare_bench(*b, commands.options); }; });
}

}  // namespace dae
