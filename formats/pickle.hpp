// Reads a pickle as data. Nothing is called, imported or constructed: the result is a graph of values in which classes
// and functions are names (formats/pickle_graph.hpp).
//
// All opcodes of protocols 0 to 5 are understood except copyreg extensions and out-of-band buffers. Work and memory are
// proportional to the bytes of the pickle; nothing recurses, so nesting and cycles are harmless here.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "formats/pickle_graph.hpp"
#include "mq/limits.hpp"

namespace mq::formats::pickle {

struct Pickle {
  Graph graph;
  NodeId root = kNoNode;
  std::size_t size_bytes = 0;  // up to and including STOP; what follows was not looked at
};

// Parses one pickle from the beginning of bytes, which must outlive the result. `source` names it in errors
// ("model.pt: data.pkl").
// Throws: Corrupt with the offset of the opcode (an unknown one, an operand that reaches beyond the end, an empty
// stack, a value of the wrong type), Unsupported (extensions, out-of-band buffers), Limit.
Pickle parse(std::span<const std::byte> bytes, std::string_view source, const Limits& limits = {});

// How long the pickle at the beginning of bytes is. If they are not all there are (complete), the result is empty for
// one that goes on behind them.
// Throws: as parse.
std::optional<std::size_t> size_of_first(std::span<const std::byte> bytes, std::string_view source,
                                         const Limits& limits, bool complete);

}  // namespace mq::formats::pickle
