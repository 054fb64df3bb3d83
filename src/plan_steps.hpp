// The steps of a plan: what happens to each tensor, checked against what its shape and the dialect allow.
#pragma once

#include <vector>

#include "mq/plan.hpp"
#include "src/select.hpp"

namespace mq {

// One step per tensor of the source, without outputs yet. What a reader should know of a choice within a budget is
// added to notes.
// Throws: Usage (sizes that do not divide, combinations that the dialect does not hold, budgets that cannot be kept).
// `gguf` says what the model is if the output is a GGUF file, else it is null.
std::vector<Step> make_steps(const Source& source, const Recipe& recipe, const Analysis& analysis,
                             const GgufModel* gguf, std::vector<std::string>& notes);

// The shape of the step's tensor as its encoding sees it: after the transforms.
Shape encoded_shape(const Step& step, const Source& source);

// Whether a step's groups go on from one row to the next. What is encoded then are the groups of the flattened weight,
// one to a row.
bool flattens(const Step& step, const Source& source);

// A pure cast to a float type.
QuantSpec cast_spec(DType dtype);

}  // namespace mq
