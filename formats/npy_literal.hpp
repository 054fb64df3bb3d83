// The dictionary in the header of a .npy file, as Python writes it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mq/limits.hpp"
#include "mq/tensor.hpp"

namespace mq::formats {

struct NpyLiteral {
  std::string descr;  // "<f4"
  bool fortran_order = false;
  Shape shape;
};

// Parses "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" and white space after it: exactly these keys, in
// any order. Strings have no escapes; sizes may end in L, as Python 2 wrote them. `source` and first_offset say in
// errors where the text is.
// Throws: Corrupt with the place; Unsupported for structured types; Limit for too many dimensions.
NpyLiteral parse_npy_literal(std::string_view text, const std::string& source, std::uint64_t first_offset,
                             const Limits& limits);

}  // namespace mq::formats
