#include "tools/mq-convert/recipe_file.hpp"

#include "formats/io/file.hpp"
#include "mq/error.hpp"
#include "mq/limits.hpp"
#include "tools/mq-convert/yaml.hpp"

namespace mq::tool {

Recipe read_recipe(const std::filesystem::path& path, const Recipe& defaults) {
  const std::string text = io::read_text(path, Limits().header_bytes);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool is_json = first != std::string::npos && text[first] == '{';
  return parse_recipe(is_json ? text : json_of_yaml(text, path.string()), path.string(), defaults);
}

Recipe read_recipe_of_task(const std::filesystem::path& path, const Recipe& defaults) {
  Recipe recipe = read_recipe(path, defaults);
  if (recipe.task == defaults.task) return recipe;
  throw Error({.code = ErrorCode::Usage,
               .message = "the recipe is for another command",
               .file = path.string(),
               .expected = std::string(to_string(defaults.task)),
               .found = std::string(to_string(recipe.task))});
}

}  // namespace mq::tool
