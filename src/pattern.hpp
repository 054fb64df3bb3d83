// Patterns that select tensors by name or kind: the PATTERN of mq::Rule. Immutable; thread-safe.
#pragma once

#include <optional>
#include <regex>
#include <string>
#include <string_view>

#include "mq/plan.hpp"

namespace mq {

class Pattern {
 public:
  // Throws: Usage (empty, an unknown kind with the nearest one, a broken regular expression).
  explicit Pattern(std::string_view text);

  bool matches(std::string_view name, TensorKind kind) const;
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
  std::optional<TensorKind> kind_;
  std::optional<std::regex> regex_;
};

}  // namespace mq
