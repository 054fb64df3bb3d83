// What a plan refuses for its mere size, before anything is written.
#pragma once

#include "mq/limits.hpp"
#include "mq/source.hpp"

namespace mq {

// Throws: Limit naming the largest tensor, if the tensors are too large to be counted or claim more than
// Limits::expansion times the bytes of the files that hold them.
void require_sane_size(const Source& source, const Limits& limits);

}  // namespace mq
