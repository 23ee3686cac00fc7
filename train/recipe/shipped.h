// The recipes of train/recipes/, built into the program. CMakeLists.txt writes the list.
#pragma once
#include <vector>

namespace dae {

struct ShippedRecipe {
  const char *name, *text;  // "toy", and the text of train/recipes/toy.toml
};
extern const std::vector<ShippedRecipe> kShippedRecipes;  // sorted by name

}  // namespace dae
