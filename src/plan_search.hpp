// Which steps of a plan search for their scales, and whether their rows are at hand for that.
#pragma once

#include <span>

#include "mq/plan.hpp"
#include "src/dialects/dialect.hpp"

namespace mq {

// Rows of which a tile of the step begins at multiples.
std::int64_t row_quantum(const Step& step, const LogicalTensor& tensor, std::span<const StoredOutput> outputs);

// Whether the step meets the rows that it encodes in pieces: they are columns of the file, or too long.
bool reads_cut_rows(const Step& step, const LogicalTensor& tensor, const BlockLayout& layout,
                    std::span<const StoredOutput> outputs);

// Sets the step's effort to the recipe's where a search can be made, and says why where it should but cannot.
// Throws: Usage if there is no importance for a tensor that is searched, or it does not fit.
void choose_effort(Step& step, const LogicalTensor& tensor, const DialectRequest& request,
                   std::span<const StoredOutput> outputs, const Recipe& recipe, const Analysis& analysis);

}  // namespace mq
