#include "src/recipe_cursor.hpp"

#include <algorithm>

#include "src/nearest.hpp"

namespace mq {
namespace {

// Lines are counted from 1.
std::size_t line_at(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  return 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
}

std::string join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + '.' + std::string(key);
}

std::string join(const std::string& path, std::size_t index) {
  return path + '[' + std::to_string(index) + ']';
}

// Looks for the value with a path, as cursors write it. The reader has seen one byte past a number, none past others.
class PathFinder final : public json::Events {
 public:
  explicit PathFinder(std::string_view path) : wanted_(path) {}

  std::optional<std::size_t> found() const noexcept { return found_; }

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool integer(std::int64_t) override { return value(); }
  bool unsigned_integer(std::uint64_t) override { return value(); }
  bool number(double) override { return value(); }
  bool string(std::string&) override { return value(); }
  bool start_object() override { return open(false); }
  bool key(std::string& key) override {
    levels_.back().key = key;
    return true;
  }
  bool end_object() override { return close(); }
  bool start_array() override { return open(true); }
  bool end_array() override { return close(); }

 private:
  struct Level {
    std::string path;
    bool is_array = false;
    std::size_t next = 0;  // of an array
    std::string key;       // of an object
  };

  std::string path_of_value() {
    if (levels_.empty()) return {};
    Level& level = levels_.back();
    return level.is_array ? join(level.path, level.next++) : join(level.path, level.key);
  }
  bool meet(const std::string& path) {
    if (path != wanted_) return true;
    found_ = offset - std::min<std::size_t>(offset, 1);
    return false;
  }
  bool value() { return meet(path_of_value()); }
  bool open(bool is_array) {
    levels_.push_back({path_of_value(), is_array});
    return meet(levels_.back().path);
  }
  bool close() {
    levels_.pop_back();
    return true;
  }

  std::string_view wanted_;
  std::optional<std::size_t> found_;
  std::vector<Level> levels_;
};

std::string listed(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) {
    text += text.empty() ? "" : word == words.back() ? " or " : ", ";
    text += word;
  }
  return text;
}

std::string described(const json::Value& value) {
  if (value.is_null()) return "nothing";
  if (const std::string* text = value.as_string()) return '"' + printable(*text) + '"';
  if (value.as_array() != nullptr) return "a list";
  if (value.as_object() != nullptr) return "an object";
  return (value.as_bool() != nullptr ? "" : "the number ") + json::dump(value);
}

}  // namespace

std::string RecipeCursor::place() const {
  PathFinder finder(path_);
  json::parse_events(text_->json, text_->source, finder);
  std::string place = path_.empty() ? "the recipe" : path_;
  if (finder.found()) place += " (line " + std::to_string(line_at(text_->json, *finder.found())) + ')';
  return place;
}

void RecipeCursor::fail(std::string expected, std::string found, std::string hint) const {
  throw Error({.code = ErrorCode::Usage,
               .message = place(),
               .file = std::string(text_->source),
               .expected = std::move(expected),
               .found = found.empty() ? described(*value_) : std::move(found),
               .hint = std::move(hint)});
}

void RecipeCursor::misfit(const Error& error) const {
  ErrorDetails details = error.details();
  details.message = place() + ": " + details.message;
  details.file = text_->source;
  throw Error(std::move(details));
}

const std::string& RecipeCursor::string() const {
  const std::string* text = value_->as_string();
  if (text == nullptr) fail("a string");
  return *text;
}

bool RecipeCursor::boolean() const {
  const bool* value = value_->as_bool();
  if (value == nullptr) fail("true or false");
  return *value;
}

std::int64_t RecipeCursor::count(std::int64_t least) const {
  const std::int64_t* value = value_->as_int();
  if (value == nullptr || *value < least) fail("a whole number from " + std::to_string(least));
  return *value;
}

double RecipeCursor::positive_number() const {
  const std::int64_t* const whole = value_->as_int();
  const double* const real = value_->as_double();
  const double value = whole != nullptr ? static_cast<double>(*whole) : real != nullptr ? *real : 0;
  if (!(value > 0)) fail("a number above 0");
  return value;
}

std::vector<RecipeCursor> RecipeCursor::items() const {
  const json::Array* array = value_->as_array();
  if (array == nullptr) fail("a list");
  std::vector<RecipeCursor> items;
  items.reserve(array->size());
  for (std::size_t i = 0; i < array->size(); ++i) items.emplace_back((*array)[i], join(path_, i), *text_);
  return items;
}

std::vector<std::string> RecipeCursor::strings() const {
  std::vector<std::string> strings;
  for (const RecipeCursor& item : items()) strings.push_back(item.string());
  return strings;
}

std::size_t RecipeCursor::word(std::span<const std::string_view> words) const {
  const auto found = std::ranges::find(words, std::string_view(string()));
  if (found == words.end()) fail(listed(words), {}, did_you_mean(string(), words));
  return static_cast<std::size_t>(found - words.begin());
}

std::optional<DType> RecipeCursor::float_type(std::string_view none) const {
  if (string() == none) return std::nullopt;
  const std::optional<DType> dtype = parse_dtype(string());
  if (!dtype || !info(*dtype).is_float) fail(std::string(none) + " or a float type: f32, f16 or bf16");
  return dtype;
}

std::optional<RecipeCursor> RecipeCursor::find(std::string_view key) const {
  const json::Value* value = value_->find(key);
  if (value == nullptr) return std::nullopt;
  return RecipeCursor(*value, join(path_, key), *text_);
}

RecipeCursor RecipeCursor::member(std::string_view key) const {
  const std::optional<RecipeCursor> found = find(key);
  if (!found) fail("a key " + std::string(key), "none");
  return *found;
}

void RecipeCursor::require_keys(std::span<const std::string_view> known,
                                std::span<const std::string_view> elsewhere) const {
  const json::Object* object = value_->as_object();
  if (object == nullptr) fail("an object");
  for (const auto& [key, value] : *object) {
    if (std::ranges::find(known, std::string_view(key)) != known.end()) continue;
    const bool other_task = std::ranges::find(elsewhere, std::string_view(key)) != elsewhere.end();
    const RecipeCursor at(value, join(path_, key), *text_);
    throw Error({.code = ErrorCode::Usage,
                 .message = at.place() + (other_task ? ": not a key of this task" : ": there is no such key"),
                 .file = std::string(text_->source),
                 .expected = "one of " + listed(known),
                 .hint = other_task ? "" : did_you_mean(key, known)});
  }
}

json::Value parse_recipe_json(const RecipeText& text) {
  try {
    return json::parse(text.json, text.source);
  } catch (const Error& error) {
    // Not a damaged file of somebody else's, but text that its author can mend.
    ErrorDetails details = error.details();
    details.code = ErrorCode::Usage;
    if (details.offset) details.message += " (line " + std::to_string(line_at(text.json, *details.offset)) + ')';
    details.offset.reset();
    throw Error(std::move(details));
  }
}

}  // namespace mq
