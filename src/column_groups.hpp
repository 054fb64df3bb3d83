// Groups that are not runs of columns: weights whose columns were quantized in another order (GPTQ's act-order) come
// with the group of each column.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace mq {

// The columns in the order of their groups, and of their numbers within a group; empty if that is their own order.
// name is the tensor that holds the groups, for errors.
// Throws: Corrupt for a group that does not exist, and for one that has not group_size columns.
std::vector<std::int32_t> columns_by_group(std::span<const std::int32_t> groups, std::int64_t group_size,
                                           std::string_view name);

}  // namespace mq
