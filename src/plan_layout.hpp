// Everything of a plan's output that is not a tensor: file names, metadata, configuration, what is left behind.
#pragma once

#include <string>

#include "mq/plan.hpp"

namespace mq {

// Whether the output is a folder of a model.
bool writes_directory(const Recipe& recipe);
// Whether it is a PyTorch checkpoint.
bool writes_torch(const Recipe& recipe);

// The file of the output that holds what `file` of the source held; empty for single-file formats.
std::string output_file(const Recipe& recipe, const std::string& file);

// Fills layout metadata, copies and texts, left_out and loads_in of a plan whose steps and tensors are complete. `gguf`
// says what the model is if the output is a GGUF file, else it is null.
void finish_layout(Plan& plan, const GgufModel* gguf);

}  // namespace mq
