#include "tools/mq-convert/conversion.hpp"

namespace mq::tool {

Conversion plan_conversion(const Options& options) {
  Conversion conversion{.input = open_checkpoint(options.in, options.open)};
  conversion.target = choose_target(options, *conversion.input);
  const Target& target = conversion.target;
  if (!target.path.empty()) {
    conversion.writer = create_checkpoint(target.path, target.format,
                                          {.overwrite = options.overwrite,
                                           .sync = options.sync,
                                           .resume = options.resume && !options.dry_run,
                                           .inputs = files_of(*conversion.input)});
  }
  Recipe recipe = options.recipe;
  recipe.format = target.format;
  const bool copies = recipe.task == Recipe::Task::Copy;
  const Source source = describe(*conversion.input, copies ? Recognise::Nothing : Recognise::Quantized);
  conversion.plan = make_plan(source, recipe);
  conversion.cost = cost_of(conversion.plan, target, options.threads);
  return conversion;
}

}  // namespace mq::tool
