// Whether there is anything left to do for a conversion.
#pragma once

#include "mq/convert.hpp"
#include "mq/executor.hpp"
#include "tools/mq-convert/conversion.hpp"

namespace mq::tool {

// Whether the output exists already and is what the conversion would write. Compared are:
//   - the report beside it, quantization_metadata.json, with the one that this run would write: version of the program,
//     recipe, and of every tensor name, shape, type, decision, encoding, names of what it is stored as and the digest
//     of the input's bytes; all of it but the errors, which follow from these. For the digests the input is read once.
//   - the structure of the output: it opens, and has just the tensors, types and shapes that are planned.
// Outputs take their names when they are complete, and equal input, recipe and program make equal bytes; so an output
// that passes is the one. What changed the values of its tensors afterwards is not noticed: that is for validate.
// Throws: Io and Corrupt of the input; Cancelled.
bool is_finished(const Conversion& conversion, Executor& executor, const ConvertOptions& watch);

}  // namespace mq::tool
