// What all opcodes share: operands, the stack, the making of values.
#include "formats/pickle_machine.hpp"

#include <algorithm>
#include <utility>

#include "formats/limits.hpp"
#include "formats/pickle_text.hpp"

namespace mq::formats::pickle {

void Machine::fail(ErrorCode code, std::string message, std::string expected, std::string found) const {
  throw Error({.code = code,
               .message = std::move(message),
               .file = std::string(source_),
               .offset = opcode_at_,
               .expected = std::move(expected),
               .found = std::move(found)});
}

void Machine::refuse(std::uint64_t Limits::*limit, std::string message, std::uint64_t found) const {
  refuse_limit(limits_, limit,
               {.message = std::move(message),
                .file = std::string(source_),
                .offset = opcode_at_,
                .found = std::to_string(found)});
}

std::string_view Machine::take(std::uint64_t size_bytes) {
  const std::size_t left = bytes_.size() - position_;
  if (size_bytes > left) {
    ran_out_ = true;
    corrupt("operand reaches beyond the end of the pickle", std::to_string(size_bytes) + " bytes",
            std::to_string(left) + " left");
  }
  const std::string_view taken = bytes_.substr(position_, static_cast<std::size_t>(size_bytes));
  position_ += taken.size();
  return taken;
}

std::string_view Machine::take_line() {
  const std::size_t end = bytes_.find('\n', position_);
  if (end == std::string_view::npos) {
    ran_out_ = true;
    corrupt("text operand without a line end");
  }
  const std::string_view line = bytes_.substr(position_, end - position_);
  position_ = end + 1;
  return line;
}

void Machine::push(NodeId id) {
  if (stack_.size() >= limits_.nodes) refuse(&Limits::nodes, "values on the stack of a pickle", stack_.size() + 1);
  stack_.push_back(id);
}

NodeId Machine::top() {
  if (stack_.size() <= frame()) corrupt("opcode needs a value, but the stack is empty");
  return stack_.back();
}

NodeId Machine::pop() {
  const NodeId id = top();
  stack_.pop_back();
  return id;
}

void Machine::push_mark() {
  if (marks_.size() >= limits_.nodes) refuse(&Limits::nodes, "marks on the stack of a pickle", marks_.size() + 1);
  marks_.push_back(static_cast<std::uint32_t>(stack_.size()));
}

std::span<const NodeId> Machine::since_mark() {
  if (marks_.empty()) corrupt("opcode needs a mark, but there is none");
  return std::span(stack_).subspan(marks_.back());
}

void Machine::drop_to_mark() {
  const std::size_t dropped = since_mark().size();
  stack_.resize(stack_.size() - dropped);
  marks_.pop_back();
}

template <class Payload>
NodeId Machine::add(Kind kind, Payload payload) {
  if (graph_.nodes_.size() >= limits_.nodes) refuse(&Limits::nodes, "values of a pickle", graph_.nodes_.size() + 1);
  graph_.nodes_.push_back({kind, static_cast<std::uint32_t>(opcode_at_), payload});
  return static_cast<NodeId>(graph_.nodes_.size() - 1);
}
template NodeId Machine::add(Kind, std::int64_t);
template NodeId Machine::add(Kind, double);
template NodeId Machine::add(Kind, std::string_view);
template NodeId Machine::add(Kind, Graph::Index);

NodeId Machine::add_tuple(std::span<const NodeId> items) {
  const auto first = static_cast<std::uint32_t>(graph_.tuple_items_.size());
  graph_.tuple_items_.insert(graph_.tuple_items_.end(), items.begin(), items.end());
  return add(Kind::Tuple, Graph::Slice{first, static_cast<std::uint32_t>(items.size())});
}

NodeId Machine::add_growing(Kind kind, std::span<const NodeId> items) {
  graph_.growing_.emplace_back(items.begin(), items.end());
  return add(kind, Graph::Index{static_cast<std::uint32_t>(graph_.growing_.size() - 1)});
}

void Machine::push_text(std::string decoded) {
  graph_.decoded_.push_back(std::move(decoded));
  push(add(Kind::Str, std::string_view(graph_.decoded_.back())));
}

void Machine::push_python2_text(std::string_view bytes) {
  const bool ascii = std::ranges::all_of(bytes, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii) {
    push(add(Kind::Str, bytes));
  } else {
    push_text(latin1_to_utf8(bytes));
  }
}

void Machine::push_long(std::string_view little_endian) {
  const bool negative = !little_endian.empty() && (static_cast<unsigned char>(little_endian.back()) & 0x80) != 0;
  if (little_endian.size() > 8) {
    graph_.decoded_.push_back(decimal_digits(little_endian));
    push(add(Kind::BigInt, std::string_view(graph_.decoded_.back())));
    return;
  }
  std::uint64_t value = negative ? ~std::uint64_t{0} : 0;
  for (std::size_t i = little_endian.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(little_endian[i]);
  }
  push_integer(static_cast<std::int64_t>(value));
}

void Machine::push_global(std::string_view module, std::string_view name) {
  if (module == "__builtin__") module = "builtins";
  if (module == "copy_reg") module = "copyreg";
  graph_.globals_.push_back({module, name});
  push(add(Kind::Global, Graph::Index{static_cast<std::uint32_t>(graph_.globals_.size() - 1)}));
}

Object& Machine::push_object(NodeId callable, NodeId args) {
  if (graph_.kind(callable) != Kind::Global) {
    fail(ErrorCode::Unsupported, "call of a computed value: only names are accepted as callables");
  }
  require(args, Kind::Tuple, "arguments of a call");
  push(add(Kind::Object, Graph::Index{static_cast<std::uint32_t>(graph_.objects_.size())}));
  Object& object = graph_.objects_.emplace_back();
  object.callable = callable;
  object.args = args;
  object.offset = static_cast<std::uint32_t>(opcode_at_);
  return object;
}

void Machine::require(NodeId id, Kind kind, const char* what) {
  if (graph_.kind(id) != kind) corrupt(std::string(what) + " of the wrong type");
}

void Machine::memoize(std::uint64_t index) {
  memo_.put(index, top());
  if (memo_.size() > limits_.nodes) refuse(&Limits::nodes, "entries of a pickle's memo", memo_.size());
  if (memo_.sparse_size() > kMaxSparseMemo) {
    fail(ErrorCode::Limit, "memo indices with too many gaps", "at most " + std::to_string(kMaxSparseMemo));
  }
}

void Machine::recall(std::uint64_t index) {
  const std::optional<NodeId> value = memo_.get(index);
  if (!value) corrupt("memo entry " + std::to_string(index) + " was never written");
  push(*value);
}

std::uint64_t Machine::memo_index_line() {
  const std::optional<std::int64_t> index = decimal_value(take_line());
  if (!index || *index < 0) corrupt("memo index is not a number");
  return static_cast<std::uint64_t>(*index);
}

void Machine::add_entries(NodeId container, std::span<const NodeId> keys_and_values) {
  if (keys_and_values.size() % 2 != 0) corrupt("a key without a value");
  std::vector<NodeId>* target = nullptr;
  if (graph_.kind(container) == Kind::Dict) {
    target = &graph_.growing_[std::get<Graph::Index>(graph_.nodes_[container].payload).value];
  } else if (graph_.kind(container) == Kind::Object) {
    target = &graph_.objects_[std::get<Graph::Index>(graph_.nodes_[container].payload).value].entries;
  } else {
    corrupt("items are set on something that is not a mapping");
  }
  target->insert(target->end(), keys_and_values.begin(), keys_and_values.end());
}

void Machine::add_items(NodeId container, std::span<const NodeId> items, Kind plain) {
  std::vector<NodeId>* target = nullptr;
  if (graph_.kind(container) == plain) {
    target = &graph_.growing_[std::get<Graph::Index>(graph_.nodes_[container].payload).value];
  } else if (graph_.kind(container) == Kind::Object) {
    target = &graph_.objects_[std::get<Graph::Index>(graph_.nodes_[container].payload).value].items;
  } else {
    corrupt("items are added to something that is not a collection");
  }
  target->insert(target->end(), items.begin(), items.end());
}

}  // namespace mq::formats::pickle
