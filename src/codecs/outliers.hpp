// What others need to know of integers with outlier columns.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "mq/quant_spec.hpp"

namespace mq {

// Names of the parts beside those of the integers, in this order at the end.
inline constexpr std::string_view kOutlierColumns = "outlier_columns";
inline constexpr std::string_view kOutlierWeight = "outlier_weight";

// Whether these are different columns of a matrix with so many, in their order.
bool are_ascending_columns(std::span<const std::int32_t> columns, std::int64_t cols) noexcept;

// The integers of all other columns: an encoding of its own.
QuantSpec spec_beside_outliers(QuantSpec spec);

}  // namespace mq
