// What compare, validate and audit hold against a checkpoint, and selftest against a machine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mq/audit.hpp"
#include "mq/compare.hpp"
#include "mq/error.hpp"
#include "mq/selftest.hpp"
#include "mq/validate.hpp"
#include "tools/mq-convert/options.hpp"

namespace mq::tool {

// Whether a channel has next to nothing left of its values although the tensor as a whole looks well.
bool has_lost_channel(const TensorComparison& tensor);

// One error for each tensor that misses a limit of the options, or cannot be held against one because it is missing or
// differs in shape. Empty if no limit was given.
std::vector<Error> missed_limits(const Comparison& comparison, const Options& options);

// The failures of a validation as one error, if there are any.
std::optional<Error> failure_of(const Validation& validation, const Options& options);

// Why an audited file cannot be trusted: what is dangerous in it, or that not all of it could be followed.
std::optional<Error> failure_of(const AuditReport& report);

// What kernels gave other bits than the reference, if any did.
std::optional<Error> failure_of(const SelftestReport& report);

}  // namespace mq::tool
