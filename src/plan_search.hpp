// Which steps of a plan search for their scales.
#pragma once

#include <span>

#include "mq/plan.hpp"
#include "src/dialects/dialect.hpp"

namespace mq {

// Sets the step's effort to the recipe's where a search can be made. Returns why it cannot where it should, else null.
// Throws: Usage if there is no importance for a tensor that is searched, or it does not fit.
const char* choose_effort(Step& step, const LogicalTensor& tensor, const DialectRequest& request,
                          std::span<const StoredOutput> outputs, const Recipe& recipe, const Analysis& analysis);

}  // namespace mq
