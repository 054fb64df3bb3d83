#include "tools/mq-convert/conversion.hpp"

#include <algorithm>

#include "mq/estimate.hpp"

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
  Source source = describe(*conversion.input, copies ? Recognise::Nothing : Recognise::Quantized);
  Analysis analysis;
  if (recipe.objective == Objective::Importance) {
    if (options.importance.empty()) {
      throw Error(ErrorCode::Usage, "the recipe asks for the importance of columns: --objective importance:FILE");
    }
    add_importance(analysis, *open_checkpoint(options.importance));
  }
  conversion.plan = make_plan(std::move(source), recipe, analysis);
  conversion.cost = cost_of(conversion.plan, target, options.threads);
  return conversion;
}

void keep_to_memory(Conversion& conversion, std::optional<std::int64_t> limit_bytes) {
  Cost& cost = conversion.cost;
  const std::int64_t most_bytes = limit_bytes ? *limit_bytes : kDefaultMemoryBytes + cost.memory.listing_bytes;
  if (cost.memory_bytes() > most_bytes) {
    const std::int64_t fitting = (most_bytes - cost.memory.at(0)) / cost.memory.thread_bytes;
    cost.threads = static_cast<int>(std::clamp<std::int64_t>(fitting, 1, cost.threads));
  }
  if (cost.memory_bytes() <= most_bytes) return;
  const auto largest = std::ranges::max_element(conversion.plan.steps, {}, &Step::state_bytes);
  const bool named = largest != conversion.plan.steps.end() && largest->state_bytes > 0;
  throw Error({.code = ErrorCode::Limit,
               .message = "the conversion may need more memory than it is given",
               .file = conversion.input->path().string(),
               .tensor = named ? largest->id.str() : std::string(),
               .expected = "at most " + std::to_string(most_bytes) + " bytes (--max-memory" +
                           std::string(limit_bytes ? ")" : ", the default)"),
               .found = std::to_string(cost.memory_bytes())});
}

}  // namespace mq::tool
