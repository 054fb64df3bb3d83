// Which tensors are quantized, how, and why: rules, kinds and defaults become one decision per tensor.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mq/plan.hpp"

namespace mq {

struct Decision {
  TensorKind kind = TensorKind::Unknown;
  Shared<QuantSpec> spec;  // null: keep
  bool by_scheme = false;  // nothing but the scheme decided for the encoding
  SharedString reason;
  // Of the rule that decided, else of the recipe.
  std::optional<DType> scale_dtype;
  IfIndivisible if_indivisible = IfIndivisible::Error;
};

// One decision per tensor of the source.
// Throws: Usage (a pattern that matches nothing; unknown tensors above 5 % of the bytes).
std::vector<Decision> select(const Source& source, const Recipe& recipe);

}  // namespace mq
