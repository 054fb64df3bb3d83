// Everything a pickle would do, as far as it can be followed: for audits of files that no reader accepts.
//
// Where parse() refuses, a listing goes on as Python would: calls of computed values, registered extensions, state and
// items given to things that are no objects, values left on the stack. Nothing is called here either.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "formats/pickle.hpp"
#include "mq/error.hpp"

namespace mq::formats::pickle {

// Modules of globals that stand for something without a name: Object::callable stays a Global.
inline constexpr std::string_view kComputed = "(computed)";
inline constexpr std::string_view kExtension = "(copyreg extension)";  // the name is its number

// BUILD of any value; SETITEM(S), APPEND(S) and ADDITEMS of one that is neither an object nor a container of the kind.
struct Change {
  std::uint32_t offset = 0;
  NodeId target = kNoNode;
  NodeId value = kNoNode;  // of BUILD
};

struct Listing {
  Pickle pickle;  // what was made up to the end, or to where it stopped; root is kNoNode in that case
  std::vector<Change> changes;
  std::optional<Error> stopped;  // why the end was not reached
  bool ran_out = false;          // because the bytes ended
};

// Follows the pickle at the beginning of bytes, which must outlive the result.
Listing list(std::span<const std::byte> bytes, std::string_view source, const Limits& limits);

}  // namespace mq::formats::pickle
