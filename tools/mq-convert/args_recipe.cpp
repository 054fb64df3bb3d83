// --recipe, and how the rest of the command line goes with it.
#include <string>

#include "tools/mq-convert/args_common.hpp"
#include "tools/mq-convert/recipe_file.hpp"

namespace mq::tool {
namespace {

template <class T>
void put_before(std::vector<T>& later, const std::vector<T>& first) {
  later.insert(later.begin(), first.begin(), first.end());
}

}  // namespace

void add_recipe_option(CLI::App& app, Options& options) {
  add_value(app, kEncoding, "--recipe", "FILE",
            "start from the recipe in this file, JSON or YAML, or from that of a quantization_metadata.json; the other "
            "options change it: values replace those of the file, patterns and rules come before them",
            [&](const std::string& text) {
              const auto read = options.verb == Verb::Recipe ? read_recipe : read_recipe_of_task;
              options.recipe = read(text, options.recipe);
            });
}

void merge_input_names(Options& options) {
  OpenOptions& open = options.open;
  InputNames& names = options.recipe.input;
  if (!open.root.empty()) names.root = open.root;
  put_before(names.strip_prefixes, open.strip_prefixes);
  put_before(names.renames, open.renames);
  put_before(names.folds, options.folds);
  for (BatchNormFold& fold : names.folds) {
    if (fold.eps == 0) fold.eps = options.bn_eps.value_or(0);
  }
  if (options.find_folds && options.verb == Verb::Recipe) {
    throw Error(ErrorCode::Usage, "--fold-bn auto needs a model: name layers and normalizations in a recipe");
  }
  take_input_names(names, open);
}

void take_input_names(const InputNames& names, OpenOptions& open) {
  open.root = names.root;
  open.strip_prefixes = names.strip_prefixes;
  open.renames = names.renames;
}

}  // namespace mq::tool
