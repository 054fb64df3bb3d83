// Encodings chosen by what they cost and what they lose: a budget of bits or of error, and what each candidate takes
// and gives. Plain values; thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mq/quant_spec.hpp"

namespace mq {

// What a choice of encodings has to keep to. Where nothing else decides about tensors, each takes one of the
// candidates; among all choices within the budget the one with the least error is taken, or for Sqnr the smallest.
struct Budget {
  enum class Kind : std::uint8_t {
    BitsPerWeight,  // bits of a weight on average over the tensors that are chosen for, scales included: at most
    Bytes,          // of all tensors of the output: at most
    Sqnr,           // in dB, over the tensors that are chosen for: at least
  };
  Kind kind = Kind::BitsPerWeight;
  double amount = 0;

  bool operator==(const Budget&) const = default;
};
// "4.5bpw", "900000000B", "20.5dB"; prints the shortest text that reads back equal. Throws: Usage.
Budget parse_budget(std::string_view text);
std::string to_string(const Budget& budget);

// An encoding to choose among. Throws: Usage, also for what is no quantization.
QuantSpec parse_candidate(std::string_view text);

// What one tensor would be in one encoding.
struct RatePoint {
  QuantSpec spec;          // as in Recipe::candidates
  std::int64_t bytes = 0;  // of all its stored tensors
  double error = 0;        // sum of squared errors
  double power = 0;        // sum of squares of the weights, weighed like the errors

  bool operator==(const RatePoint&) const = default;
};

struct Rates {
  // By logical tensor name, for each tensor that a budget decides about. A candidate whose groups do not divide its
  // rows is not there.
  std::map<std::string, std::vector<RatePoint>> tensors;
  std::int64_t other_bytes = 0;  // of all other tensors of the output

  bool operator==(const Rates&) const = default;
};

}  // namespace mq
