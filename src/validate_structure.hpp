// Stored tensors against the quantization config: parts of quantized weights that lack the rest.
#pragma once

#include <vector>

#include "mq/source.hpp"
#include "mq/validate.hpp"

namespace mq {

void check_structure(const Source& source, std::vector<Finding>& findings);

}  // namespace mq
