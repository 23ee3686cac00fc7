// The recipes of train/recipes/, which are part of the program (CMakeLists.txt writes the list).
#pragma once
#include <vector>

struct ShippedRecipe {
  const char *name, *text;  // "toy", and what train/recipes/toy.toml holds
};
extern const std::vector<ShippedRecipe> kShippedRecipes;  // by name
