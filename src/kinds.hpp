// What each tensor is in its model: the table of names and shapes behind TensorKind.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "mq/plan.hpp"

namespace mq {

// One kind per tensor of the source, in order; its config.json helps where names are ambiguous.
std::vector<TensorKind> classify(const Source& source);

// Throws: Usage with the nearest name.
TensorKind parse_kind(std::string_view name);

}  // namespace mq
