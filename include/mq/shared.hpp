// Values that many others hold: written once, never changed, and copied by counting: SharedString, Shared<T>. Copies of
// one may be used and destroyed on different threads.
#pragma once

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mq {

template <class T>
concept TextLike = std::convertible_to<const T&, std::string_view>;

// Text of the size of a pointer: a name that the reader, the plan, the writer and the report of a tensor have in
// common.
class SharedString {
 public:
  SharedString() noexcept = default;
  // NOLINTBEGIN(google-explicit-constructor): used as a std::string is
  // Throws: Limit for 4 GiB and more.
  SharedString(std::string_view text);
  SharedString(const std::string& text) : SharedString(std::string_view(text)) {}
  SharedString(const char* text) : SharedString(std::string_view(text)) {}
  operator std::string_view() const noexcept { return view(); }
  operator std::string() const { return std::string(view()); }
  // NOLINTEND(google-explicit-constructor)
  SharedString(const SharedString& other) noexcept;
  SharedString(SharedString&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  SharedString& operator=(SharedString other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~SharedString();

  std::string_view view() const noexcept;
  std::string str() const { return std::string(view()); }
  const char* c_str() const noexcept { return view().data(); }  // ends in a zero
  std::size_t size() const noexcept { return view().size(); }
  bool empty() const noexcept { return block_ == nullptr; }
  auto begin() const noexcept { return view().begin(); }
  auto end() const noexcept { return view().end(); }
  bool starts_with(std::string_view text) const noexcept { return view().starts_with(text); }
  bool ends_with(std::string_view text) const noexcept { return view().ends_with(text); }
  std::size_t find(std::string_view text) const noexcept { return view().find(text); }
  std::string substr(std::size_t first, std::size_t count = std::string_view::npos) const {
    return std::string(view().substr(first, count));
  }

  template <TextLike T>
  friend bool operator==(const SharedString& a, const T& b) noexcept {
    return a.view() == std::string_view(b);
  }
  template <TextLike T>
  friend auto operator<=>(const SharedString& a, const T& b) noexcept {
    return a.view() <=> std::string_view(b);
  }
  template <TextLike T>
  friend std::string operator+(const SharedString& a, const T& b) {
    return a.str().append(std::string_view(b));
  }
  template <TextLike T>
  requires(!std::same_as<T, SharedString>) friend std::string operator+(const T& a, const SharedString& b) {
    return std::string(std::string_view(a)).append(b.view());
  }

 private:
  struct Block;
  Block* block_ = nullptr;  // of an empty text: none
};

// Any value: a pointer that may be null, compared by what it points to.
template <class T>
class Shared {
 public:
  Shared() noexcept = default;
  // NOLINTNEXTLINE(google-explicit-constructor): a value that is assigned becomes shared
  Shared(T value) : value_(std::make_shared<const T>(std::move(value))) {}

  explicit operator bool() const noexcept { return value_ != nullptr; }
  bool has_value() const noexcept { return value_ != nullptr; }
  void reset() noexcept { value_.reset(); }
  const T& operator*() const noexcept { return *value_; }
  const T* operator->() const noexcept { return value_.get(); }

  friend bool operator==(const Shared& a, const Shared& b) {
    return a.value_ == b.value_ || (a.value_ && b.value_ && *a.value_ == *b.value_);
  }
  friend bool operator==(const Shared& a, const T& b) { return a.value_ && *a.value_ == b; }

 private:
  std::shared_ptr<const T> value_;
};

}  // namespace mq

template <>
struct std::hash<mq::SharedString> {
  std::size_t operator()(const mq::SharedString& text) const noexcept {
    return std::hash<std::string_view>()(text.view());
  }
};
