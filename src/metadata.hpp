#pragma once

#include <cstdint>
#include <string_view>

#include "mq/convert.hpp"
#include "src/json.hpp"

namespace mq {

inline constexpr std::string_view kReportName = "quantization_metadata.json";
inline constexpr std::uint64_t kMaxReportBytes =
    1 << 30;  // a few hundred bytes a tensor, of which there may be a million

// The figures that people and reports get.
json::Value to_json(const ErrorStats& error);
json::Value to_json(const NonfiniteCounts& counts);

// The text of quantization_metadata() in pieces, none of them longer than a tensor's entry. Both are borrowed.
TextPieces metadata_pieces(const Plan& plan, const Report& report);
// What stands before the entries of the tensors.
std::string metadata_head(const Plan& plan, const ErrorStats& total);
// A tensor's entry with what separates it from the one before.
std::string metadata_entry(const Plan& plan, std::size_t index, const StepReport& report);
inline constexpr std::string_view kMetadataTail = "\n  ]\n}\n";

// The entry of a step in quantization_metadata.json.
json::Value step_value(const Plan& plan, const Step& step, const StepReport& report);

}  // namespace mq
