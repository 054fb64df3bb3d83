#include "src/column_groups.hpp"

#include <algorithm>
#include <string>

#include "mq/error.hpp"

namespace mq {

std::vector<std::int32_t> columns_by_group(std::span<const std::int32_t> groups, std::int64_t group_size,
                                           std::string_view name) {
  const auto corrupt = [&](std::string message, std::string expected, std::string found) {
    throw Error({.code = ErrorCode::Corrupt,
                 .message = std::move(message),
                 .tensor = std::string(name),
                 .expected = std::move(expected),
                 .found = std::move(found)});
  };
  const auto cols = static_cast<std::int64_t>(groups.size());
  const std::int64_t count = cols / group_size;
  std::vector<std::int64_t> filled(static_cast<std::size_t>(count));
  std::vector<std::int32_t> order(groups.size());
  bool in_order = true;
  for (std::int64_t c = 0; c < cols; ++c) {
    const std::int64_t group = groups[static_cast<std::size_t>(c)];
    if (group < 0 || group >= count) {
      corrupt("column " + std::to_string(c) + " is in a group that does not exist", "0 to " + std::to_string(count - 1),
              std::to_string(group));
    }
    std::int64_t& place = filled[static_cast<std::size_t>(group)];
    if (place == group_size) {
      corrupt("group " + std::to_string(group) + " has too many columns", std::to_string(group_size), "more");
    }
    const std::int64_t at = group * group_size + place++;
    order[static_cast<std::size_t>(at)] = static_cast<std::int32_t>(c);
    in_order = in_order && at == c;
  }
  if (in_order) order.clear();
  return order;
}

}  // namespace mq
