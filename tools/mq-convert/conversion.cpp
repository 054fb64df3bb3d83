#include "tools/mq-convert/conversion.hpp"

#include <algorithm>

#include "mq/activations.hpp"
#include "mq/error.hpp"
#include "mq/estimate.hpp"
#include "mq/gguf.hpp"
#include "tools/mq-convert/cancel.hpp"
#include "tools/mq-convert/input.hpp"
#include "tools/mq-convert/progress.hpp"

namespace mq::tool {

namespace {

// As many threads as keep a bound below the limit, at least one.
int fitting_threads(const MemoryBound& bound, std::int64_t most_bytes, int threads) {
  const std::int64_t fitting = (most_bytes - bound.at(0)) / bound.thread_bytes;
  return static_cast<int>(std::clamp<std::int64_t>(fitting, 1, threads));
}

std::int64_t limit_of(const MemoryBound& bound, std::optional<std::int64_t> limit_bytes) {
  return limit_bytes ? *limit_bytes : kDefaultMemoryBytes + bound.listing_bytes;
}

Rates measure(const Checkpoint& input, const Source& source, const mq::Recipe& recipe, const Analysis& analysis,
              const Options& options) {
  int threads = options.threads;
  for (const mq::Recipe& one : measuring_recipes(recipe)) {
    const MemoryBound bound = memory_bound(make_plan(source, one, analysis));
    threads = fitting_threads(bound, limit_of(bound, options.max_memory), threads);
  }
  const std::unique_ptr<Executor> pool = make_thread_executor(threads);
  CancellableExecutor executor(*pool);
  ProgressLine line(!options.json && !options.log_json);
  return measure_rates(input, source, recipe, analysis, executor, [&](const Progress& progress) {
    line.show(progress);
    return stop_signal() == 0;
  });
}

}  // namespace

Conversion plan_conversion(const Options& options) {
  Input input = open_input(options);
  Conversion conversion{.input = std::move(input.checkpoint)};
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
  recipe.input = std::move(input.names);
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
  if (!options.stats.empty()) add_input_ranges(analysis, *open_checkpoint(options.stats));
  if (recipe.weigh_tensors) {
    if (options.sensitivity.empty()) {
      throw Error(ErrorCode::Usage, "the recipe asks for what errors matter in each tensor: --sensitivity FILE");
    }
    add_sensitivity(analysis, *open_checkpoint(options.sensitivity));
  }
  if (recipe.format == "gguf") {
    analysis.gguf = std::make_shared<const GgufModel>(gguf_model(*conversion.input, source, options.like));
  } else if (!options.like.empty()) {
    throw Error({.code = ErrorCode::Usage, .message = "--like is for GGUF files", .found = recipe.format});
  }
  if (recipe.budget || options.measure) {
    conversion.rates = measure(*conversion.input, source, recipe, analysis, options);
    analysis.rates = conversion.rates;
  }
  conversion.plan = make_plan(std::move(source), recipe, analysis);
  const auto is_static = [](const Step& step) { return step.input_range.has_value(); };
  if (!options.stats.empty() && std::ranges::none_of(conversion.plan.steps, is_static)) {
    throw Error({.code = ErrorCode::Usage,
                 .message = "--stats is for static activations, and no weight has any",
                 .expected = "a scheme like int8+int8:tensor:static"});
  }
  conversion.cost = cost_of(conversion.plan, target, options.threads);
  return conversion;
}

void keep_to_memory(Conversion& conversion, std::optional<std::int64_t> limit_bytes) {
  Cost& cost = conversion.cost;
  const std::int64_t most_bytes = limit_of(cost.memory, limit_bytes);
  cost.threads = fitting_threads(cost.memory, most_bytes, cost.threads);
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
