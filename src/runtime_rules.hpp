// What programs ask of the quantized weights that they load, beyond the layout: the rules behind mq/destination.hpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mq/plan.hpp"
#include "mq/validate.hpp"

namespace mq {

// Weights that runtimes fuse into one, and which therefore need one encoding: "PREFIX:qkv" for the projections of
// attention, "PREFIX:gate_up" for those of a gated MLP; empty for others.
std::string fused_set_of(std::string_view name);

// The weights of which sets differ in their encoding: nothing if all agree; else the name of one set.
std::optional<std::string> disagreeing_set(const Plan& plan);

// Throws: Usage, naming the weights (20 at most) and what the runtime asks.
void require_runtime_rules(const Plan& plan);

// The same for a checkpoint. Throws: Usage for a runtime that is not known.
void check_runtime(const Source& source, std::string_view runtime, std::vector<Finding>& findings);

}  // namespace mq
