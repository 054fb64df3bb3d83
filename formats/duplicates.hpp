// Names that occur twice.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

namespace mq::formats {

// A name that occurs at least twice, if there is one. By sorting: hostile names can make a hash table slow.
inline std::optional<std::string_view> find_duplicate(std::vector<std::string_view> names) {
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return std::nullopt;
  return *twice;
}

}  // namespace mq::formats
