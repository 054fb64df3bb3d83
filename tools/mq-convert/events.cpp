#include "tools/mq-convert/events.hpp"

#include <unistd.h>

#include <cerrno>
#include <string>

namespace mq::tool {
namespace {

constexpr std::chrono::seconds kProgressInterval(1);

const char* action_of(const Step& step) {
  if (step.quantizes()) return "quantize";
  return step.action == Step::Action::Drop ? "drop" : step.action == Step::Action::Copy ? "copy" : "cast";
}

// The line in as few writes as the stream takes, so that lines of several processes do not mix.
void write_line(std::string_view line) noexcept {
  while (!line.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    line.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace

double EventLog::seconds() const noexcept {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

void EventLog::emit(std::string_view event, const json::Value& fields) noexcept {
  if (!enabled_) return;
  try {
    json::Value line;
    line.set("event", event);
    line.set("seconds", seconds());
    if (const json::Object* members = fields.as_object()) {
      for (const auto& [key, value] : *members) line.set(key, value);
    }
    const std::string text = json::dump(line, -1) + '\n';
    const std::lock_guard lock(mutex_);
    write_line(text);
  } catch (const std::exception&) {
    // An event that cannot be told must not end the run.
  }
}

void EventLog::progress(const Progress& progress) {
  const Clock::time_point now = Clock::now();
  if (!enabled_ || now - last_progress_ < kProgressInterval) return;
  last_progress_ = now;
  const double speed = static_cast<double>(progress.bytes_done) / std::max(seconds(), 1e-9);
  const auto left = static_cast<double>(progress.bytes_total - progress.bytes_done);
  json::Value fields;
  fields.set("bytes_done", progress.bytes_done);
  fields.set("bytes_total", progress.bytes_total);
  fields.set("bytes_per_second", speed);
  fields.set("seconds_left", speed > 0 ? json::Value(left / speed) : json::Value());
  fields.set("tensor", progress.tensor);
  emit("progress", fields);
}

void EventLog::step(const Step& step, const StepReport& report) {
  if (!enabled_) return;
  json::Value fields;
  fields.set("name", step.id);
  fields.set("action", action_of(step));
  if (step.action == Step::Action::Encode) fields.set("spec", to_string(*step.spec));
  if (!report.digest.empty()) fields.set("digest", report.digest);
  if (step.quantizes()) {
    fields.set("sqnr_db", report.error.sqnr_db());
    fields.set("max_error", report.error.max_error);
    fields.set("nan", report.nonfinite.nan);
    fields.set("infinite", report.nonfinite.infinite);
  }
  emit("tensor", fields);
}

void EventLog::warning(std::string_view message) {
  if (!enabled_) return;
  json::Value fields;
  fields.set("message", message);
  emit("warning", fields);
}

}  // namespace mq::tool
