#include "bench/compare.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <optional>
#include <ostream>
#include <string_view>

#include "mq/error.hpp"
#include "src/json.hpp"

namespace mq::bench {
namespace {

struct Rows {
  std::vector<std::string> order;
  std::map<std::string, std::vector<double>> seconds;  // sorted
};

std::optional<double> number_of(const json::Value* value) {
  if (value == nullptr) return std::nullopt;
  if (const double* real = value->as_double()) return *real;
  if (const std::int64_t* whole = value->as_int()) return static_cast<double>(*whole);
  return std::nullopt;
}

[[noreturn]] void refuse(const char* which) {
  throw Error({.code = ErrorCode::Corrupt,
               .message = "not rows of mq-bench",
               .file = which,
               .expected = "what mq-bench --json writes"});
}

std::string_view text_of(const json::Value* value) {
  const std::string* text = value != nullptr ? value->as_string() : nullptr;
  return text != nullptr ? std::string_view(*text) : std::string_view();
}

double unit_of(const json::Value& row, const char* which) {
  constexpr std::array<std::pair<std::string_view, double>, 4> kUnits{
      {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1.0}}};
  for (const auto& [name, seconds] : kUnits) {
    if (text_of(row.find("time_unit")) == name) return seconds;
  }
  refuse(which);
}

Rows read_rows(const std::string& text, const char* which) {
  const json::Value file = json::parse(text, which);
  const json::Value* list = file.find("benchmarks");
  if (list == nullptr || list->as_array() == nullptr) refuse(which);
  Rows rows;
  for (const json::Value& row : *list->as_array()) {
    if (text_of(row.find("run_type")) == "aggregate") continue;
    const std::string name(text_of(row.find(row.find("run_name") != nullptr ? "run_name" : "name")));
    const std::optional<double> time = number_of(row.find("cpu_time"));
    if (name.empty() || !time) refuse(which);
    std::vector<double>& seconds = rows.seconds[name];
    if (seconds.empty()) rows.order.push_back(name);
    seconds.push_back(*time * unit_of(row, which));
  }
  for (auto& [name, seconds] : rows.seconds) std::ranges::sort(seconds);
  return rows;
}

double median(const std::vector<double>& sorted) {
  const std::size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double noise_of(const std::vector<double>& sorted) {
  constexpr double kLeast = 0.03, kUnknown = 0.1;
  if (sorted.size() < 3) return kUnknown;
  return std::max(kLeast, (sorted.back() - sorted.front()) / 2 / median(sorted));
}

const char* text_of(RowChange::Verdict verdict) {
  switch (verdict) {
    case RowChange::Verdict::Faster:
      return "faster";
    case RowChange::Verdict::Slower:
      return "SLOWER";
    case RowChange::Verdict::OnlyOld:
      return "only in the old run";
    case RowChange::Verdict::OnlyNew:
      return "only in the new run";
    default:
      return "same";
  }
}

}  // namespace

std::vector<RowChange> compare_runs(const std::string& old_json, const std::string& new_json) {
  const Rows before = read_rows(old_json, "the old run"), now = read_rows(new_json, "the new run");
  std::vector<RowChange> changes;
  for (const std::string& name : now.order) {
    RowChange change{.name = name, .new_seconds = median(now.seconds.at(name))};
    const auto found = before.seconds.find(name);
    if (found == before.seconds.end()) {
      change.verdict = RowChange::Verdict::OnlyNew;
    } else {
      change.old_seconds = median(found->second);
      change.noise = std::max(noise_of(found->second), noise_of(now.seconds.at(name)));
      const double ratio = change.new_seconds / change.old_seconds;
      if (ratio > 1 + change.noise) change.verdict = RowChange::Verdict::Slower;
      if (ratio < 1 / (1 + change.noise)) change.verdict = RowChange::Verdict::Faster;
    }
    changes.push_back(std::move(change));
  }
  for (const std::string& name : before.order) {
    if (now.seconds.contains(name)) continue;
    changes.push_back(
        {.name = name, .old_seconds = median(before.seconds.at(name)), .verdict = RowChange::Verdict::OnlyOld});
  }
  return changes;
}

bool print_changes(const std::vector<RowChange>& changes, std::ostream& out) {
  std::size_t width = 4;
  for (const RowChange& change : changes) width = std::max(width, change.name.size());
  bool slower = false;
  for (const RowChange& change : changes) {
    std::array<char, 128> numbers{};
    if (change.old_seconds > 0 && change.new_seconds > 0) {
      std::snprintf(numbers.data(), numbers.size(), "%12.1f us %12.1f us  %6.3f x  +-%4.1f %%  ",
                    change.old_seconds * 1e6, change.new_seconds * 1e6, change.new_seconds / change.old_seconds,
                    change.noise * 100);
    } else {
      std::snprintf(numbers.data(), numbers.size(), "%56s", "");
    }
    out << change.name << std::string(width - change.name.size(), ' ') << numbers.data() << text_of(change.verdict)
        << '\n';
    slower = slower || change.verdict == RowChange::Verdict::Slower;
  }
  return slower;
}

}  // namespace mq::bench
