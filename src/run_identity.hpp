#pragma once

#include "mq/checkpoint.hpp"
#include "mq/plan.hpp"
#include "src/json.hpp"

namespace mq {

// All that decides about the bytes of an output: the version, the options, the files of the input (size, time of
// modification, digest of their first megabyte), what they list, and the layout. An object; equal for equal runs.
// Throws: Io.
json::Value run_identity(const Checkpoint& checkpoint, const Plan& plan);

}  // namespace mq
