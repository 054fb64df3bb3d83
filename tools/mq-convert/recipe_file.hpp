// Recipes from files.
#pragma once

#include <filesystem>

#include "mq/recipe.hpp"

namespace mq::tool {

// Reads a recipe: JSON if the text begins with a brace, else YAML. A quantization_metadata.json is a recipe too.
// Throws: as parse_recipe() and json_of_yaml(); Io; Limit for a file that is larger than any report of a run.
Recipe read_recipe(const std::filesystem::path& path, const Recipe& defaults);

// The same for a command that does one task, that of defaults.
// Throws: Usage too if the recipe is of another task.
Recipe read_recipe_of_task(const std::filesystem::path& path, const Recipe& defaults);

}  // namespace mq::tool
