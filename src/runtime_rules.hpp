// What programs ask of the quantized weights that they load, beyond the layout: the rules behind mq/destination.hpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mq/plan.hpp"
#include "mq/validate.hpp"

namespace mq {

// The first set of weights that runtimes join (src/fused_sets.hpp) and that differ in their encoding, if there is one.
std::optional<std::string> disagreeing_set(const Plan& plan);

// Throws: Usage, naming the weights (20 at most) and what the runtime asks.
void require_runtime_rules(const Plan& plan);

// The same for a checkpoint. Throws: Usage for a runtime that is not known.
void check_runtime(const Source& source, std::string_view runtime, std::vector<Finding>& findings);

}  // namespace mq
