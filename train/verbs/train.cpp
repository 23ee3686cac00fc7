#include <nlohmann/json.hpp>

#include "kernels/device/error.h"
#include "train/recipe/shipped.h"
#include "train/run/checkpoint.h"
#include "train/run/loop.h"
#include "train/verbs/verbs.h"

namespace dae {

Recipe recipe_of(const TrainArguments& arguments, const Options& options) {
  std::vector<std::string> sets = arguments.sets;
  if (options.seed) sets.push_back(fmt::format("seed={}", *options.seed));
  const bool own = arguments.recipe.empty();
  if (own && !has_run(arguments.out))
    fail(Fault::usage, "train: {}: expected a run to resume, found no recipe.toml in it; name its folder",
         arguments.out);
  return load_recipe(own ? arguments.out + "/recipe.toml" : arguments.recipe, sets, options.device);
}

int list_recipes(const Options& options) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const ShippedRecipe& recipe : kShippedRecipes) {
    const std::string text = recipe.text;
    const std::string what = text.substr(2, text.find('\n') - 2);  // the recipe's first line, a comment
    if (options.json) out.push_back({{"name", recipe.name}, {"what", what}});
    else fmt::print("{:<22} {}\n", recipe.name, what);
  }
  if (options.json) fmt::print("{}\n", out.dump());
  return 0;
}

int train(const TrainArguments& arguments, const Options& options) {
  if ((arguments.stage == 2) != !arguments.from.empty())
    fail(Fault::usage,
         "train: expected --stage 2 and --from RUN[@STEP] together, found one without the other");
  if (!arguments.init.empty() && !arguments.from.empty())
    fail(Fault::usage, "train: expected --init or --from, found both");
  const LoopResult result = run_training(recipe_of(arguments, options), {.run = arguments.out,
                                                                         .init = arguments.init,
                                                                         .resume = arguments.resume,
                                                                         .from = arguments.from,
                                                                         .quiet = options.quiet});
  if (options.json) {
    nlohmann::ordered_json out{{"run", arguments.out}, {"step", result.step}};
    for (const auto& [name, value] : result.metrics) out["metrics"][name] = value;
    fmt::print("{}\n", out.dump());
  } else if (!options.quiet) {
    fmt::print(stderr, "{} at step {}: {}\n", result.signal ? "stopped" : "done", result.step, arguments.out);
  }
  return result.signal ? 128 + result.signal : 0;
}

}  // namespace dae
