// How hard to look for the scales of an encoding, and what counts as its error. Plain values; thread-safe.
//
// Layout and decoding of an encoding do not depend on any of this: a searched tensor is read like any other.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mq {

enum class Effort {
  Fast,    // scales from the range of each block, codes rounded to the nearest: the formulas of mq/quantize.hpp
  Search,  // for each block the best of some twenty scales (and zero points), improved by least squares
  Max,     // for each block the best of all scales; takes a hundred times as long
  // What the foreign encoder that others use makes, bit for bit: ggml's blocks only. Objectives have no part in it.
  Reference,
};
inline constexpr std::array kEfforts = {Effort::Fast, Effort::Search, Effort::Max, Effort::Reference};
// "fast", "search", "max", "reference".
std::string_view to_string(Effort effort) noexcept;

// What a search takes for the error of a block.
struct Objective {
  enum class Kind {
    SquaredError,  // sum of (x - y)^2
    Magnitude,     // the same, each weighed by sqrt(mean x^2 of the block) + |x|
    Square,        // by x^2
    Importance,    // by a number given for each column: E[x^2] of the layer's input, for example
    Norm,          // sum of |x - y|^norm
  };
  Kind kind = Kind::SquaredError;
  float norm = 2;  // of Kind::Norm, from kLeastNorm to kLargestNorm; 2 otherwise

  static const Objective SquaredError, Magnitude, Square, Importance;  // NOLINT(readability-identifier-naming)
  static constexpr float kLeastNorm = 0.5f, kLargestNorm = 8;

  bool operator==(const Objective&) const = default;
};
inline constexpr Objective Objective::SquaredError{};
inline constexpr Objective Objective::Magnitude{Objective::Kind::Magnitude};
inline constexpr Objective Objective::Square{Objective::Kind::Square};
inline constexpr Objective Objective::Importance{Objective::Kind::Importance};

// "mse", "magnitude", "x2", "importance", "lp:P" with the norm P.
std::string to_string(const Objective& objective);
// The objective that to_string() gives this text for; empty if there is none.
std::optional<Objective> parse_objective(std::string_view text);

struct SearchOptions {
  Effort effort = Effort::Search;
  Objective objective = Objective::SquaredError;
  // For Objective::Importance: one weight for each column of the matrix [out, rest]; finite and not negative. Borrowed.
  std::span<const float> importance = {};
};

}  // namespace mq
