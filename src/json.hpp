// JSON values: strict parsing (duplicate keys and overlong or deep input refused) and reproducible printing.
// Private to the library; nlohmann-json is inside json.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "mq/shared.hpp"

namespace mq::json {

class Value;
using Array = std::vector<Value>;
using Object = std::vector<std::pair<std::string, Value>>;  // in file order; keys are unique

class Value {
 public:
  Value() = default;
  // NOLINTBEGIN(google-explicit-constructor): a literal is a value
  Value(std::nullptr_t) {}
  Value(bool value) : data_(value) {}
  Value(int value) : data_(static_cast<std::int64_t>(value)) {}
  Value(std::int64_t value) : data_(value) {}
  Value(std::uint64_t value);
  Value(double value) : data_(value) {}
  Value(const char* value) : data_(std::string(value)) {}
  Value(std::string value) : data_(std::move(value)) {}
  Value(std::string_view value) : data_(std::string(value)) {}
  Value(const SharedString& value) : data_(value.str()) {}
  Value(Array value) : data_(std::move(value)) {}
  Value(Object value) : data_(std::move(value)) {}
  // NOLINTEND(google-explicit-constructor)

  bool is_null() const noexcept { return std::holds_alternative<std::nullptr_t>(data_); }
  const bool* as_bool() const noexcept { return std::get_if<bool>(&data_); }
  const std::int64_t* as_int() const noexcept { return std::get_if<std::int64_t>(&data_); }  // whole numbers < 2^63
  const double* as_double() const noexcept { return std::get_if<double>(&data_); }           // all other numbers
  const std::string* as_string() const noexcept { return std::get_if<std::string>(&data_); }
  const Array* as_array() const noexcept { return std::get_if<Array>(&data_); }
  const Object* as_object() const noexcept { return std::get_if<Object>(&data_); }
  Array* as_array() noexcept { return std::get_if<Array>(&data_); }
  Object* as_object() noexcept { return std::get_if<Object>(&data_); }

  // The member called key, or null; null too if this is not an object.
  const Value* find(std::string_view key) const noexcept;
  // Replaces or appends a member; a null value becomes an object first.
  void set(std::string_view key, Value value);

  bool operator==(const Value&) const = default;

 private:
  std::variant<std::nullptr_t, bool, std::int64_t, double, std::string, Array, Object> data_ = nullptr;
};

// Parses one JSON text. `source` names it in errors ("config.json").
// Throws: Corrupt with the byte offset (syntax, invalid UTF-8, a key twice in one object, nesting beyond 128, bytes
// after the value).
Value parse(std::string_view text, std::string_view source);

// Receives the parts of a JSON text as they are parsed, so that no tree is built. Return false to stop. Numbers with a
// fraction or an exponent, -0, and whole numbers outside [-2^63, 2^64) arrive as number().
struct Events {
  // Of the next byte to be read, kept by parse_events; set it beforehand if the text does not begin its file.
  std::size_t offset = 0;

  virtual ~Events() = default;
  virtual bool null() = 0;
  virtual bool boolean(bool value) = 0;
  virtual bool integer(std::int64_t value) = 0;
  virtual bool unsigned_integer(std::uint64_t value) = 0;  // only values of 2^63 and more
  virtual bool number(double value) = 0;
  virtual bool string(std::string& value) = 0;
  virtual bool start_object() = 0;
  virtual bool key(std::string& value) = 0;
  virtual bool end_object() = 0;
  virtual bool start_array() = 0;
  virtual bool end_array() = 0;
};

// As parse(), but duplicate keys are the receiver's business. Returns early, without an error, when a call returns
// false; lets through what a call throws.
void parse_events(std::string_view text, std::string_view source, Events& events);

// Prints a value: members in their order, numbers in the shortest form that reads back equal, non-finite numbers as the
// strings "Infinity", "-Infinity" and "NaN", bytes that are not UTF-8 as U+FFFD. indent < 0: no whitespace at all.
std::string dump(const Value& value, int indent = 2);

// Appends text to out as a JSON string with its quotes, as dump() prints it.
void append_string(std::string& out, std::string_view text);

}  // namespace mq::json
