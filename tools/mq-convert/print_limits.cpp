#include "tools/mq-convert/table.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {

std::string to_text(std::span<const LimitInfo> limits, const Style&) {
  constexpr Limits kDefaults;
  Table table({{"limit"}, {"at most", true}, {"of what"}, {"changed by"}});
  for (const LimitInfo& limit : limits) {
    const std::string name(limit.name);
    table.add({name, human_count(static_cast<std::int64_t>(kDefaults.*limit.value)), std::string(limit.help),
               "--max-" + name + " N"});
  }
  return table.text() +
         "\nWhat asks for more is refused with code 6. The options belong to every command that reads.\n";
}

json::Value to_json(std::span<const LimitInfo> limits) {
  constexpr Limits kDefaults;
  json::Array rows;
  for (const LimitInfo& limit : limits) {
    json::Value row;
    row.set("name", limit.name);
    row.set("value", static_cast<std::int64_t>(kDefaults.*limit.value));
    row.set("most", static_cast<std::int64_t>(limit.most));
    row.set("meaning", limit.help);
    row.set("option", "--max-" + std::string(limit.name));
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace mq::tool
