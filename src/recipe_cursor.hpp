// A value in the text of a recipe and the place it stands at: what readers take from it, and errors that name key,
// line, what was expected and what was found.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mq/dtype.hpp"
#include "mq/error.hpp"
#include "src/json.hpp"

namespace mq {

// The JSON that a cursor points into, and its name in errors.
struct RecipeText {
  std::string_view json;
  std::string_view source;
};

class RecipeCursor {
 public:
  // value and text outlive the cursor.
  RecipeCursor(const json::Value& value, std::string path, const RecipeText& text)
      : value_(&value), path_(std::move(path)), text_(&text) {}

  // Each throws Usage for a value of another type, or one that is not allowed.
  const std::string& string() const;
  bool boolean() const;
  std::int64_t count(std::int64_t least = 0) const;  // a whole number from least on
  double positive_number() const;
  std::vector<std::string> strings() const;
  std::vector<RecipeCursor> items() const;
  std::size_t word(std::span<const std::string_view> words) const;  // the index of the string among words
  std::optional<DType> float_type(std::string_view none) const;     // empty for the word none

  bool is_string() const noexcept { return value_->as_string() != nullptr; }
  std::optional<RecipeCursor> find(std::string_view key) const;
  // The member called key. Throws: Usage if there is none.
  RecipeCursor member(std::string_view key) const;
  // Throws: Usage unless this is an object whose keys are all among known; elsewhere are keys that known has in recipes
  // of another task.
  void require_keys(std::span<const std::string_view> known, std::span<const std::string_view> elsewhere = {}) const;

  // What `parse` makes of the string; errors that it throws are given this place.
  template <class Parse>
  auto parsed(Parse&& parse) const {
    const std::string& text = string();
    try {
      return parse(text);
    } catch (const Error& error) {
      misfit(error);
    }
  }

  [[noreturn]] void fail(std::string expected, std::string found = {}, std::string hint = {}) const;

 private:
  [[noreturn]] void misfit(const Error& error) const;
  std::string place() const;

  const json::Value* value_;
  std::string path_;
  const RecipeText* text_;
};

// Parses the text. Throws: Usage with the line of what is not JSON.
json::Value parse_recipe_json(const RecipeText& text);

}  // namespace mq
