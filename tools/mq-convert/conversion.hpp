// A conversion up to the point where it begins to write: what every command that converts does first.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "mq/checkpoint.hpp"
#include "mq/plan.hpp"
#include "tools/mq-convert/cost.hpp"
#include "tools/mq-convert/options.hpp"
#include "tools/mq-convert/target.hpp"

namespace mq::tool {

struct Conversion {
  std::unique_ptr<Checkpoint> input;
  Target target;
  std::unique_ptr<CheckpointWriter> writer;  // creates nothing before it begins; null without an OUT
  Plan plan;
  Cost cost;
  Rates rates;  // if a budget asked for them, or --measure
};

// Opens the input, measures the candidates if need be, and makes the plan of options.recipe, whose format becomes that
// of the target.
// Throws: as open_checkpoint(), choose_target(), create_checkpoint(), measure_rates() and make_plan().
Conversion plan_conversion(const Options& options);

// What a conversion may take if nothing is said, beside its lists (MemoryBound::listing_bytes).
inline constexpr std::int64_t kDefaultMemoryBytes = std::int64_t{256} << 20;

// Takes as many threads as keep a conversion below so many bytes of memory; without a number, below the default.
// Throws: Limit, naming the tensor with the largest state if there is one, if it may need more with a single one.
void keep_to_memory(Conversion& conversion, std::optional<std::int64_t> limit_bytes);

}  // namespace mq::tool
