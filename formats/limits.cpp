#include "formats/limits.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace mq::formats {

void refuse_limit(const Limits& limits, std::uint64_t Limits::*limit, ErrorDetails details) {
  const auto row = std::ranges::find(all_limits(), limit, &LimitInfo::value);
  details.code = ErrorCode::Limit;
  details.expected = "at most " + std::to_string(limits.*limit);
  if (details.hint.empty()) details.hint = "--max-" + std::string(row->name) + " raises this limit";
  throw Error(std::move(details));
}

}  // namespace mq::formats
