// What each tensor is in its model: the table of names and shapes behind TensorKind.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "mq/plan.hpp"

namespace mq {

// One kind per tensor, in order. model_type is that of config.json ("llama"), empty if unknown.
std::vector<TensorKind> classify(std::span<const LogicalTensor> tensors, std::string_view model_type);

// Throws: Usage with the nearest name.
TensorKind parse_kind(std::string_view name);

}  // namespace mq
