#include "mq/error.hpp"
#include "tools/mq-convert/text.hpp"
#include "tools/mq-convert/views.hpp"

namespace mq::tool {

std::string to_text(const Cost& cost, const Style&) {
  std::string text = "disk: " + human_bytes(cost.disk_bytes()) + " at most";
  if (cost.free_bytes) {
    text += ", " + human_bytes(*cost.free_bytes) + " free in " + printable(cost.folder.string(), 4096);
    if (*cost.free_bytes < cost.disk_bytes()) text += ": NOT ENOUGH";
  }
  text += "\nmemory: " + human_bytes(cost.memory_bytes()) + " at most, with " + plural(cost.threads, "thread") + '\n';
  if (cost.speed && cost.speed->input_bytes_per_second > 0) {
    text += "time: about " + duration_text(cost.speed->seconds) + " for the arithmetic, at " +
            human_bytes(static_cast<std::int64_t>(cost.speed->input_bytes_per_second)) +
            "/s as measured now on made-up weights; reading and writing are not in it\n";
  }
  return text;
}

json::Value to_json(const Cost& cost) {
  json::Value value;
  value.set("threads", cost.threads);
  value.set("memory_bound_bytes", cost.memory_bytes());
  value.set("file_bytes", cost.file_bytes);
  value.set("report_bound_bytes", cost.report_bytes);
  value.set("disk_needed_bytes", cost.disk_bytes());
  value.set("disk_free_bytes", cost.free_bytes ? json::Value(*cost.free_bytes) : json::Value());
  value.set("folder", cost.folder.empty() ? json::Value() : json::Value(cost.folder.string()));
  if (cost.speed) {
    value.set("estimated_seconds", cost.speed->seconds);
    value.set("estimated_input_bytes_per_second", cost.speed->input_bytes_per_second);
  }
  return value;
}

}  // namespace mq::tool
