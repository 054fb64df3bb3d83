// How hard to look for the scales of an encoding, and what counts as its error. Plain values; thread-safe.
//
// Layout and decoding of an encoding do not depend on any of this: a searched tensor is read like any other.
#pragma once

#include <array>
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

// The weight that the squared error of an element has in a search.
enum class Objective {
  SquaredError,  // 1
  Magnitude,     // sqrt(mean x^2 of the block) + |x|
  Square,        // x^2
  Importance,    // given for each column: E[x^2] of the layer's input, for example
};
inline constexpr std::array kObjectives = {Objective::SquaredError, Objective::Magnitude, Objective::Square,
                                           Objective::Importance};
// "mse", "magnitude", "x2", "importance".
std::string_view to_string(Objective objective) noexcept;

struct SearchOptions {
  Effort effort = Effort::Search;
  Objective objective = Objective::SquaredError;
  // For Objective::Importance: one weight for each column of the matrix [out, rest]; finite and not negative. Borrowed.
  std::span<const float> importance = {};
};

}  // namespace mq
