#pragma once

#include "src/dialects/dialect.hpp"

namespace mq {

// Tensors under their own names, one stored tensor each: float casts, and everything that is not quantized.
extern const Dialect kPlain;

}  // namespace mq
