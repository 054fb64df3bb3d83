// What the format GGUF asks of a plan beside the encoding: types by a mix, names, order of rows, key-values.
#pragma once

#include <vector>

#include "mq/gguf.hpp"
#include "mq/plan.hpp"
#include "src/select.hpp"

namespace mq {

bool writes_gguf(const Recipe& recipe);

// What the analysis says of the model; null for other formats.
// Throws: Usage if it is missing or of another source, and for what goes with GGUF only.
const GgufModel* require_gguf_model(const Source& source, const Recipe& recipe, const Analysis& analysis);

// Takes the types of the recipe's mix for all that no pattern decides.
void apply_mix(const Source& source, const Recipe& recipe, const GgufModel& model, std::vector<Decision>& decisions);

// Gives steps the names and the order of rows of the file, and vectors the type that llama.cpp computes with.
void apply_gguf(const Source& source, const GgufModel& model, std::vector<Step>& steps);

// Adds tensors that the source lacks. The steps are complete.
void add_constants(Plan& plan, const GgufModel& model);

// Fills the layout's key-values, and what of the source is in none of them.
void add_gguf_values(Plan& plan, const GgufModel& model);

}  // namespace mq
