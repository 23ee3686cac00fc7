// The message for a command line that the program does not understand, and the help of its verbs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "train/recipe/words.h"
#include "train/verbs/commands.h"

namespace dae {

namespace {

std::vector<std::string> subcommands(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(sub->get_name());
  return names;
}

// Returns the options of the subcommand and of those above it, whose options it accepts too.
std::vector<std::string> options(const CLI::App* app) {
  std::vector<std::string> names;
  for (; app; app = app->get_parent())
    for (const CLI::Option* option : app->get_options())
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::string not_expected(const std::string& what, const std::string& found, const std::string& close) {
  return fmt::format("expected {}, found {}; the nearest is {}", what, found, close);
}

std::string problem(const CLI::App& root, const CLI::App& at, const CLI::ParseError& error) {
  const std::vector<std::string> known = subcommands(at), extra = root.remaining(true);
  const bool incomplete = dynamic_cast<const CLI::RequiredError*>(&error);
  if (!incomplete && !dynamic_cast<const CLI::ExtrasError*>(&error)) return error.what();
  for (const std::string& word : extra)
    if (word.starts_with("-")) return not_expected("an option", word, nearest(word, options(&at)));
    else if (!known.empty()) return not_expected("a subcommand", word, nearest(word, known));
  if (incomplete && at.get_require_subcommand_min() > 0)
    return fmt::format("expected a subcommand: {}; found none", fmt::join(known, ", "));
  return error.what();
}

struct Formatter : CLI::Formatter {
  std::string make_footer(const CLI::App* app) const override {
    const CLI::App* root = app;
    while (root->get_parent()) root = root->get_parent();
    if (root == app) return CLI::Formatter::make_footer(app);
    std::string out = "Options of every verb:\n";
    for (const CLI::Option* option : root->get_options())
      if (option != root->get_help_ptr()) out += make_option(option, false);
    return out;
  }
};

}  // namespace

std::string usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App* at = &app;
  std::string path = "dae";
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().back();
    path += " " + at->get_name();
  }
  return fmt::format("{}: {}; see {} --help", path, problem(app, *at, error), path);
}

CLI::Validator file_or_subcommand(const CLI::App& app) {
  return {[&app](std::string& word) -> std::string {
            std::error_code none;
            if (word.find_first_of("./@") != std::string::npos || std::filesystem::exists(word, none))
              return "";
            return not_expected("a file, a run or a subcommand", word, nearest(word, subcommands(app)));
          },
          ""};
}

std::shared_ptr<CLI::Formatter> help_formatter() { return std::make_shared<Formatter>(); }

}  // namespace dae
