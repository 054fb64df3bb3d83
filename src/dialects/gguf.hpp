// GGUF's: a weight is one tensor under its own name, in blocks that hold codes and scales together. Nothing but the
// type tells that a tensor is quantized, so that there is nothing to recognise.
#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

extern const Dialect kGgufDialect;

}  // namespace mq
