// The command line: which words mean what. One function per family of verbs adds its subcommands and what
// they run. The verbs themselves are in verbs.h.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "train/verbs/verbs.h"

namespace dae {

struct Commands {
  CLI::App& app;
  const Options& options;     // complete when `verb` is called
  std::function<int()> verb;  // set by the subcommand on the command line
};

inline constexpr const char* kRaw = "a run's weights, not their moving average (optimizer.ema)";

void add_training(Commands& commands);   // train, sample, reconstruct
void add_reproduce(Commands& commands);  // reproduce main, cifar10, toy, theory; compare
void add_weights(Commands& commands);    // convert, forward
void add_inspect(Commands& commands);    // inspect; inspect compare, lipschitz, latent
void add_eval(Commands& commands);       // eval METRIC
void add_doctor(Commands& commands);     // doctor
void add_bench(Commands& commands);      // bench, bench compare; defined in bench/

// Returns one line that says what is wrong with a command line and where its help is. An unknown word or
// option is shown with the nearest known one.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error);
// Returns a check that accepts a file, a folder or a path. A bare word that is none of these is reported as a
// mistyped subcommand of `app`.
CLI::Validator file_or_subcommand(const CLI::App& app);
// Returns a formatter that ends the help of a verb with the options of every verb.
std::shared_ptr<CLI::Formatter> help_formatter();

}  // namespace dae
