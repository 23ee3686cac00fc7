// The command line, a function a family of verbs: which words mean what, and nothing else. Each adds its
// subcommands and the function that runs them; the verbs themselves are in verbs.h.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <memory>

#include "train/verbs.h"

struct Commands {
  CLI::App& app;
  const Options& options;     // complete once `verb` is called
  std::function<int()> verb;  // set by the subcommand that was given
};

inline constexpr const char* kRaw = "a run's weights, not their moving average (optimizer.ema)";

void add_training(Commands& commands);   // train, sample, reconstruct
void add_reproduce(Commands& commands);  // reproduce main, cifar10, toy, theory; compare
void add_weights(Commands& commands);    // convert, forward
void add_inspect(Commands& commands);    // inspect; inspect compare, lipschitz, latent
void add_eval(Commands& commands);       // eval METRIC
void add_doctor(Commands& commands);     // doctor
void add_bench(Commands& commands);      // bench, bench compare; defined in bench/

// What is wrong with a command line, and where its help is: an unknown word or option stands beside the
// nearest known one.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error);
// Passes a file, a folder or a path; a bare word that is neither is a mistyped subcommand of `app`.
CLI::Validator file_or_subcommand(const CLI::App& app);
// Help of a verb ends with the options of every verb.
std::shared_ptr<CLI::Formatter> help_formatter();
