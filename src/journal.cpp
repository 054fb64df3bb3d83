#include "src/journal.hpp"

#include <bit>
#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

#include "formats/io/partial_folder.hpp"
#include "mq/error.hpp"
#include "src/digest.hpp"

namespace mq {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 30;

std::string checksum(std::string_view text) {
  return digest_of(DigestKind::Xxh3, std::as_bytes(std::span(text)));
}

std::string line_of(const json::Value& value) {
  const std::string text = json::dump(value, -1);
  return checksum(text) + ' ' + text + '\n';
}

// Doubles keep every bit, whatever they are.
json::Value exact(double value) {
  char digits[17] = {};
  const auto end = std::to_chars(digits, digits + sizeof digits, std::bit_cast<std::uint64_t>(value), 16).ptr;
  return std::string(digits, end);
}

double exact_double(const json::Value& value) {
  std::uint64_t bits = 0;
  if (const std::string* text = value.as_string()) std::from_chars(text->data(), text->data() + text->size(), bits, 16);
  return std::bit_cast<double>(bits);
}

json::Value value_of(const JournalEntry& entry) {
  const ErrorStats& error = entry.report.error;
  json::Array outputs(entry.outputs.begin(), entry.outputs.end());
  json::Value value;
  value.set("step", static_cast<std::int64_t>(entry.step));
  value.set("id", entry.report.id);
  value.set("digest", entry.report.digest);
  const NonfiniteCounts& nonfinite = entry.report.nonfinite;
  value.set("error", json::Array{exact(error.error_sq), exact(error.x_sq), exact(error.y_sq), exact(error.max_error),
                                 error.numel});
  value.set("nonfinite", json::Array{nonfinite.nan, nonfinite.infinite});
  value.set("outputs", std::move(outputs));
  return value;
}

// Nothing if the value is not an entry.
std::optional<JournalEntry> entry_of(const json::Value& value) {
  const auto member = [&](const char* key) -> const json::Value& {
    static const json::Value kNone;
    const json::Value* found = value.find(key);
    return found == nullptr ? kNone : *found;
  };
  const std::int64_t* const step = member("step").as_int();
  const std::string* const id = member("id").as_string();
  const std::string* const digest = member("digest").as_string();
  const json::Array* const error = member("error").as_array();
  const json::Array* const nonfinite = member("nonfinite").as_array();
  const json::Array* const outputs = member("outputs").as_array();
  if (!step || *step < 0 || !id || !digest || !error || error->size() != 5 || !outputs) return std::nullopt;
  if (!nonfinite || nonfinite->size() != 2) return std::nullopt;
  const json::Array& sums = *error;
  const std::int64_t* const numel = sums[4].as_int();
  const std::int64_t* const nan = (*nonfinite)[0].as_int();
  const std::int64_t* const infinite = (*nonfinite)[1].as_int();
  if (!numel || !nan || !infinite) return std::nullopt;
  JournalEntry entry{.step = static_cast<std::size_t>(*step),
                     .report = {.id = *id,
                                .error = {.error_sq = exact_double(sums[0]),
                                          .x_sq = exact_double(sums[1]),
                                          .y_sq = exact_double(sums[2]),
                                          .max_error = exact_double(sums[3]),
                                          .numel = *numel},
                                .nonfinite = {.nan = *nan, .infinite = *infinite},
                                .digest = *digest},
                     .outputs = {}};
  for (const json::Value& output : *outputs) {
    if (output.as_string() == nullptr) return std::nullopt;
    entry.outputs.push_back(*output.as_string());
  }
  return entry;
}

// Takes the next whole line from text; nothing if there is none.
std::optional<json::Value> take_line(std::string_view& text, const std::string& source) {
  const std::size_t end = text.find('\n');
  const std::size_t space = text.find(' ');
  if (end == std::string_view::npos || space >= end) return std::nullopt;
  const std::string_view content = text.substr(space + 1, end - space - 1);
  if (text.substr(0, space) != checksum(content)) return std::nullopt;
  text.remove_prefix(end + 1);
  return json::parse(content, source);
}

// Throws if a member of the identity is not what the journal says.
void require_same(const json::Value& found, const json::Value& expected, const fs::path& folder) {
  for (const auto& [key, value] : *expected.as_object()) {
    const json::Value* const there = found.find(key);
    if (there != nullptr && *there == value) continue;
    throw Error({.code = ErrorCode::Usage,
                 .message = "belongs to a run with another " + key,
                 .file = folder.string(),
                 .expected = json::dump(value, -1),
                 .found = there == nullptr ? "none" : json::dump(*there, -1),
                 .hint = "continue with what it was begun with, or remove it to begin again"});
  }
}

}  // namespace

Journal::Journal(const fs::path& folder, const json::Value& identity) {
  const fs::path path = folder / io::PartialFolder::kJournal;
  file_ = io::File::open_or_create(path, path);
  std::string text;
  if (file_.size() <= kMaxBytes) {
    text.resize(static_cast<std::size_t>(file_.size()));
    file_.read(0, std::as_writable_bytes(std::span(text)));
  }
  std::string_view rest = text;
  const std::optional<json::Value> first = take_line(rest, path.string());
  if (!first) {
    begin(folder, identity);
    return;
  }
  require_same(*first, identity, folder);
  while (const std::optional<json::Value> line = take_line(rest, path.string())) {
    std::optional<JournalEntry> entry = entry_of(*line);
    if (!entry) break;
    entries_.insert_or_assign(entry->step, std::move(*entry));
  }
  end_ = text.size() - rest.size();
  file_.truncate(end_);
}

void Journal::begin(const fs::path& folder, const json::Value& identity) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename() != io::PartialFolder::kJournal) fs::remove_all(entry.path(), error);
  }
  if (error) io::throw_io(folder, "empty the folder", error.value());
  file_.truncate(0);
  append_text(line_of(identity));
  io::sync_path(folder, folder);
}

void Journal::append(std::span<const JournalEntry> entries) {
  std::string text;
  for (const JournalEntry& entry : entries) text += line_of(value_of(entry));
  append_text(text);
}

void Journal::append_text(const std::string& text) {
  file_.write(end_, std::as_bytes(std::span(text)));
  file_.sync();
  end_ += text.size();
}

}  // namespace mq
