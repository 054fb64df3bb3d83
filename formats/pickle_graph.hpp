// What a pickle describes: values that refer to each other by index. Nothing in it has behaviour; a class or a function
// is only its name, and what a pickle wants done with one is kept as a record.
//
// The graph borrows the bytes it was parsed from: they must outlive it. Values may be shared and may form cycles.
// Immutable once parse() has returned it, and then safe to read from many threads.
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mq::formats::pickle {

using NodeId = std::uint32_t;
inline constexpr NodeId kNoNode = std::numeric_limits<NodeId>::max();

enum class Kind : std::uint8_t {
  None,
  Bool,
  Int,
  BigInt,  // does not fit 64 bits: its decimal digits, or nothing if there are too many (pickle_text.hpp)
  Float,
  Str,  // UTF-8, except that lone surrogates may be encoded too
  Bytes,
  Tuple,
  List,
  Dict,
  Set,
  Global,        // a class or function, by name
  PersistentId,  // a reference to something outside the pickle
  Object,        // a call that was recorded instead of made
};

// A name as the pickle spells it, except that Python 2's names of builtin modules are replaced by Python 3's.
struct Global {
  std::string_view module;
  std::string_view name;
};

// "module.name".
std::string to_string(const Global& global);

// The record of REDUCE, NEWOBJ, NEWOBJ_EX, INST and OBJ, with everything that was done to the result afterwards.
struct Object {
  NodeId callable = kNoNode;    // always a Global
  NodeId args = kNoNode;        // always a Tuple
  NodeId kwargs = kNoNode;      // a Dict for NEWOBJ_EX, else none
  NodeId state = kNoNode;       // of BUILD, at most one
  std::uint32_t offset = 0;     // in the pickle, of the opcode that made it
  bool called = false;          // REDUCE: any function may stand behind the name; otherwise it names a class
  std::vector<NodeId> entries;  // of SETITEM(S): keys and values, alternating
  std::vector<NodeId> items;    // of APPEND(S) and ADDITEMS
};

class Graph {
 public:
  Graph() = default;
  Graph(Graph&&) = default;  // not copyable: texts point into the graph itself
  Graph& operator=(Graph&&) = default;

  std::size_t size() const noexcept { return nodes_.size(); }
  Kind kind(NodeId id) const { return nodes_[id].kind; }
  std::uint64_t offset(NodeId id) const { return nodes_[id].offset; }  // in the pickle, of the opcode that made it

  // Each of these requires the kind that it is named after.
  bool boolean(NodeId id) const { return integer(id) != 0; }
  std::int64_t integer(NodeId id) const { return std::get<std::int64_t>(nodes_[id].payload); }  // Int and Bool
  double real(NodeId id) const { return std::get<double>(nodes_[id].payload); }
  std::string_view text(NodeId id) const {
    return std::get<std::string_view>(nodes_[id].payload);
  }  // Str, Bytes, BigInt
  const Global& global(NodeId id) const { return globals_[std::get<Index>(nodes_[id].payload).value]; }
  const Object& object(NodeId id) const { return objects_[std::get<Index>(nodes_[id].payload).value]; }
  NodeId persistent_id(NodeId id) const { return std::get<Index>(nodes_[id].payload).value; }
  // Elements of a Tuple, List or Set; keys and values of a Dict, alternating.
  std::span<const NodeId> items(NodeId id) const;

  // Every record in the order in which the pickle made them, those that the result does not hold included.
  const std::deque<Object>& objects() const noexcept { return objects_; }

 private:
  friend class Machine;

  struct Index {
    std::uint32_t value;
  };
  struct Slice {
    std::uint32_t first;
    std::uint32_t count;
  };
  struct Node {
    Kind kind;
    std::uint32_t offset;
    std::variant<std::int64_t, double, std::string_view, Index, Slice> payload;
  };

  std::vector<Node> nodes_;
  std::vector<NodeId> tuple_items_;           // of all tuples: their length is known when they are made
  std::vector<std::vector<NodeId>> growing_;  // of lists, dicts and sets
  std::vector<Global> globals_;
  std::deque<Object> objects_;
  std::deque<std::string> decoded_;  // texts whose bytes in the pickle are not their value
};

}  // namespace mq::formats::pickle
