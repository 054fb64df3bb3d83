#include "src/json.hpp"

#include <algorithm>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>

#include "mq/error.hpp"

namespace mq::json {
namespace {

constexpr int kMaxDepth = 128;

// Reads characters and keeps count of them, so that receivers know where they are.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, std::size_t* count) : at_(at), count_(count) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*count_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  std::size_t* count_;
};

[[noreturn]] void fail(std::string_view source, std::size_t offset, std::string message, std::string found = {}) {
  throw Error({.code = ErrorCode::Corrupt,
               .message = std::move(message),
               .file = std::string(source),
               .offset = offset,
               .found = std::move(found)});
}

// The reason inside "[json.exception.parse_error.101] parse error at line 1, column 5: <reason>".
std::string reason_of(std::string_view what) {
  constexpr std::string_view kColumn = ", column ";
  const std::size_t column = what.find(kColumn);
  if (column == std::string_view::npos) return std::string(what);
  const std::size_t colon = what.find(": ", column);
  return std::string(colon == std::string_view::npos ? what : what.substr(colon + 2));
}

// Between nlohmann's parser, which neither recurses nor limits depth, and Events.
class Adapter {
 public:
  Adapter(std::string_view source, Events& events) : source_(source), events_(events) {}

  bool null() { return events_.null(); }
  bool boolean(bool value) { return events_.boolean(value); }
  bool number_integer(std::int64_t value) {
    // Only numbers with a minus sign come this way: zero is -0, which is no integer.
    return value == 0 ? events_.number(-0.0) : events_.integer(value);
  }
  bool number_unsigned(std::uint64_t value) {
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return events_.unsigned_integer(value);
    }
    return events_.integer(static_cast<std::int64_t>(value));
  }
  bool number_float(double value, const std::string&) { return events_.number(value); }
  bool string(std::string& value) { return events_.string(value); }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(std::size_t) {
    enter();
    return events_.start_object();
  }
  bool key(std::string& value) { return events_.key(value); }
  bool end_object() {
    --depth_;
    return events_.end_object();
  }
  bool start_array(std::size_t) {
    enter();
    return events_.start_array();
  }
  bool end_array() {
    --depth_;
    return events_.end_array();
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) {
    fail(source_, events_.offset, "invalid JSON: " + reason_of(error.what()));
  }

 private:
  void enter() {
    if (++depth_ > kMaxDepth) {
      fail(source_, events_.offset, "invalid JSON: nested deeper than " + std::to_string(kMaxDepth) + " levels");
    }
  }

  std::string_view source_;
  Events& events_;
  int depth_ = 0;
};

// Builds the tree. Containers in progress are a stack of values; each is moved into its parent when it ends.
class TreeBuilder final : public Events {
 public:
  explicit TreeBuilder(std::string_view source) : source_(source) {}

  bool null() override { return add(Value()); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool integer(std::int64_t value) override { return add(Value(value)); }
  bool unsigned_integer(std::uint64_t value) override { return add(Value(value)); }
  bool number(double value) override { return add(Value(value)); }
  bool string(std::string& value) override { return add(Value(std::move(value))); }
  bool start_object() override { return open(Value(Object())); }
  bool key(std::string& value) override {
    stack_.back().as_object()->emplace_back(std::move(value), Value());
    return true;
  }
  bool end_object() override {
    refuse_duplicates(*stack_.back().as_object());
    return close();
  }
  bool start_array() override { return open(Value(Array())); }
  bool end_array() override { return close(); }

  Value result() { return std::move(root_); }

 private:
  bool open(Value container) {
    stack_.push_back(std::move(container));
    return true;
  }
  bool close() {
    Value ended = std::move(stack_.back());
    stack_.pop_back();
    return add(std::move(ended));
  }
  bool add(Value value) {
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (Object* object = stack_.back().as_object()) {
      object->back().second = std::move(value);
    } else {
      stack_.back().as_array()->push_back(std::move(value));
    }
    return true;
  }
  void refuse_duplicates(const Object& object) const {
    std::vector<std::string_view> keys;
    keys.reserve(object.size());
    for (const auto& member : object) keys.push_back(member.first);
    std::ranges::sort(keys);
    const auto twice = std::ranges::adjacent_find(keys);
    if (twice != keys.end()) fail(source_, offset, "invalid JSON: key twice in one object", std::string(*twice));
  }

  std::string_view source_;
  std::vector<Value> stack_;
  Value root_;
};

}  // namespace

Value::Value(std::uint64_t value) {
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    data_ = static_cast<double>(value);
  } else {
    data_ = static_cast<std::int64_t>(value);
  }
}

const Value* Value::find(std::string_view key) const noexcept {
  const Object* object = as_object();
  if (object == nullptr) return nullptr;
  const auto member = std::ranges::find(*object, key, &Object::value_type::first);
  return member == object->end() ? nullptr : &member->second;
}

void Value::set(std::string_view key, Value value) {
  if (is_null()) data_ = Object();
  Object& object = std::get<Object>(data_);
  const auto member = std::ranges::find(object, key, &Object::value_type::first);
  if (member == object.end()) {
    object.emplace_back(key, std::move(value));
  } else {
    member->second = std::move(value);
  }
}

Value parse(std::string_view text, std::string_view source) {
  TreeBuilder builder(source);
  parse_events(text, source, builder);
  return builder.result();
}

void parse_events(std::string_view text, std::string_view source, Events& events) {
  // nlohmann skips a byte order mark and takes a NUL for the end of the text: neither is JSON.
  if (text.starts_with("\xef\xbb\xbf")) fail(source, events.offset, "invalid JSON: begins with a byte order mark");
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    fail(source, events.offset + nul, "invalid JSON: NUL byte");
  }
  Adapter adapter(source, events);
  nlohmann::json::sax_parse(CountingIterator(text.data(), &events.offset),
                            CountingIterator(text.data() + text.size(), &events.offset), &adapter);
}

}  // namespace mq::json
