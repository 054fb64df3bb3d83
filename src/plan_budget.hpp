// Which candidate each tensor gets within a budget.
#pragma once

#include <string>
#include <vector>

#include "src/select.hpp"

namespace mq {

// Those of the recipe, or of its dialect. Throws: Usage if neither has any.
std::vector<QuantSpec> candidates_of(const Recipe& recipe);

// Gives the tensors that the scheme decides about (Decision::by_scheme) the encodings that keep to recipe.budget with
// the least error, as the analysis has measured them; tensors of a fused set get the same one where the dialect asks
// for it. Returns what a reader should know of the choice.
// Throws: Usage for an analysis without rates, a tensor without candidates, a budget that no choice keeps to.
std::string choose_within_budget(std::vector<Decision>& decisions, const Source& source, const Recipe& recipe,
                                 const Analysis& analysis);

}  // namespace mq
