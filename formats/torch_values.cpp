#include "formats/torch_values.hpp"

#include <algorithm>
#include <charconv>
#include <unordered_set>
#include <utility>

#include "formats/pickle_text.hpp"
#include "formats/torch_numpy.hpp"

namespace mq::formats::torch {
namespace {

using pickle::Kind;
using pickle::Object;

constexpr std::size_t kShownTextBytes = 60;

void add_alternating(std::span<const NodeId> keys_and_values, std::vector<Element>& out) {
  for (std::size_t i = 0; i + 1 < keys_and_values.size(); i += 2) {
    out.push_back({keys_and_values[i], keys_and_values[i + 1]});
  }
}

bool is_mapping(Callable callable) {
  return callable == Callable::OrderedDict || callable == Callable::Dict || callable == Callable::DefaultDict ||
         callable == Callable::Namespace;
}

std::string number_text(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(std::begin(text), std::end(text), value);
  return error == std::errc() ? std::string(text, end) : std::string();
}

}  // namespace

Values::Values(const pickle::Graph& graph, std::string source, const Limits& limits)
    : graph_(graph), source_(std::move(source)), limits_(limits), kinds_(graph.size(), 0) {}

void Values::fail(ErrorCode code, NodeId at, std::string message, std::string expected, std::string found,
                  std::string hint) const {
  throw Error({.code = code,
               .message = std::move(message),
               .file = source_,
               .offset = graph_.offset(at),
               .expected = std::move(expected),
               .found = std::move(found),
               .hint = std::move(hint)});
}

ValueKind Values::kind(NodeId id) const {
  std::uint8_t& known = kinds_[id];
  if (known == 0) known = static_cast<std::uint8_t>(static_cast<std::uint8_t>(find_kind(id)) + 1);
  return static_cast<ValueKind>(known - 1);
}

ValueKind Values::find_kind(NodeId id) const {
  switch (graph_.kind(id)) {
    case Kind::Dict:
      return ValueKind::Mapping;
    case Kind::List:
    case Kind::Tuple:
      return ValueKind::Sequence;
    case Kind::Set:
      return ValueKind::Set;
    case Kind::PersistentId:
      return ValueKind::Tensor;
    case Kind::Object:
      break;
    default:
      return ValueKind::Scalar;
  }
  const Object& object = graph_.object(id);
  const Callable known = callable(graph_.global(object.callable));
  switch (known) {
    case Callable::Size:
      return ValueKind::Sequence;
    case Callable::Set:
      return ValueKind::Set;
    case Callable::Typed:
      return graph_.kind(typed_content(id)) == Kind::Dict ? ValueKind::Mapping : ValueKind::Sequence;
    case Callable::Array:
    case Callable::ArrayBuffer:
    case Callable::ArrayScalar:
      return ValueKind::Array;
    default:
      if (is_mapping(known)) return ValueKind::Mapping;
      if (known != Callable::Unknown) return ValueKind::Tensor;
  }
  const bool has_dict = object.state != kNoNode && graph_.kind(object.state) == Kind::Dict;
  return has_dict && is_module_state(object.state) ? ValueKind::Module : ValueKind::Opaque;
}

// Remembered, because one large dict may be the state of many objects.
bool Values::is_module_state(NodeId dict) const {
  const auto [known, is_new] = module_states_.emplace(dict, false);
  if (is_new) known->second = find(dict, "_parameters") != kNoNode || find(dict, "_modules") != kNoNode;
  return known->second;
}

// A dict, or a list of pairs: what the constructors of dictionaries take.
void Values::add_pairs(NodeId pairs, std::vector<Element>& out) const {
  if (graph_.kind(pairs) == Kind::Dict) return add_alternating(graph_.items(pairs), out);
  const auto is_list = [&](NodeId id) { return graph_.kind(id) == Kind::List || graph_.kind(id) == Kind::Tuple; };
  if (!is_list(pairs)) fail(ErrorCode::Corrupt, pairs, "dictionary made of something that holds no pairs");
  for (const NodeId pair : graph_.items(pairs)) {
    if (!is_list(pair) || graph_.items(pair).size() != 2) {
      fail(ErrorCode::Corrupt, pair, "dictionary item that is no pair");
    }
    add_alternating(graph_.items(pair), out);
  }
}

std::vector<Element> Values::elements(NodeId id) const {
  std::vector<Element> out;
  const auto add_sequence = [&](std::span<const NodeId> items) {
    for (const NodeId item : items) out.push_back({kNoNode, item});
  };
  id = typed_content(id);
  const ValueKind what = kind(id);
  if (what == ValueKind::Module) {
    add_module(id, out, nullptr);
    return out;
  }
  if (what == ValueKind::Opaque) {
    add_object(id, out);
    return out;
  }
  if (graph_.kind(id) == Kind::Dict) {
    add_alternating(graph_.items(id), out);
    return out;
  }
  if (graph_.kind(id) != Kind::Object) {
    add_sequence(graph_.items(id));
    return out;
  }
  const Object& object = graph_.object(id);
  const std::span<const NodeId> args = graph_.items(object.args);
  switch (callable(graph_.global(object.callable))) {
    case Callable::Size:
      if (args.size() != 1 || graph_.kind(args[0]) != Kind::Tuple) {
        fail(ErrorCode::Corrupt, id, "torch.Size of no tuple");
      }
      add_sequence(graph_.items(args[0]));
      return out;
    case Callable::Set:
      if (args.size() > 1) fail(ErrorCode::Corrupt, id, "set made with several arguments");
      if (args.size() == 1 && graph_.kind(args[0]) != Kind::List && graph_.kind(args[0]) != Kind::Tuple &&
          graph_.kind(args[0]) != Kind::Set) {
        fail(ErrorCode::Corrupt, id, "set made of something that is no list");
      }
      if (args.size() == 1) add_sequence(graph_.items(args[0]));
      add_sequence(object.items);
      return out;
    case Callable::Namespace:
      if (object.state != kNoNode) add_pairs(object.state, out);
      return out;
    case Callable::DefaultDict:  // its argument is the function that makes missing values
      break;
    default:
      if (args.size() > 1) fail(ErrorCode::Corrupt, id, "dictionary made with several arguments");
      if (args.size() == 1) add_pairs(args[0], out);
  }
  add_alternating(object.entries, out);
  return out;
}

void Values::require_unique_keys(NodeId id, const std::vector<Element>& elements) const {
  std::unordered_set<std::string_view> texts;
  std::unordered_set<std::int64_t> integers;
  for (const Element& element : elements) {
    if (element.key == kNoNode) return;
    const Kind kind = graph_.kind(element.key);
    const bool unique = kind == Kind::Str   ? texts.insert(graph_.text(element.key)).second
                        : kind == Kind::Int ? integers.insert(graph_.integer(element.key)).second
                                            : true;
    if (!unique) fail(ErrorCode::Corrupt, id, "dictionary with one key twice", {}, key_text(element.key));
  }
}

std::vector<NodeId> Values::parts(NodeId id) const {
  if (graph_.kind(id) != Kind::Object) {
    const auto items = graph_.items(id);
    return {items.begin(), items.end()};
  }
  const Object& object = graph_.object(id);
  std::vector<NodeId> out{object.args};
  if (object.kwargs != kNoNode) out.push_back(object.kwargs);
  if (object.state != kNoNode) out.push_back(object.state);
  out.insert(out.end(), object.entries.begin(), object.entries.end());
  out.insert(out.end(), object.items.begin(), object.items.end());
  return out;
}

std::string Values::key_text(const Element& element, std::size_t position) const {
  return element.key == kNoNode ? std::to_string(position) : key_text(element.key);
}

// As Python's str() gives it; inside a tuple as repr() does.
std::string Values::key_text(NodeId key) const {
  const auto plain = [&](NodeId id) -> std::string {
    switch (graph_.kind(id)) {
      case Kind::None:
        return "None";
      case Kind::Bool:
        return graph_.boolean(id) ? "True" : "False";
      case Kind::Int:
        return std::to_string(graph_.integer(id));
      case Kind::Float:
        return number_text(graph_.real(id));
      case Kind::Str:
        return std::string(graph_.text(id));
      case Kind::Bytes:  // a text that Python 2 wrote
        return pickle::latin1_to_utf8(graph_.text(id));
      default:
        fail(ErrorCode::Unsupported, id, "dictionary key of a type that gives no name");
    }
  };
  if (graph_.kind(key) != Kind::Tuple) return plain(key);
  std::string text = "(";
  const auto items = graph_.items(key);
  for (const NodeId item : items) {
    if (text.size() > 1) text += ", ";
    const std::string_view quote = graph_.kind(item) == Kind::Str ? "'" : "";
    text.append(quote).append(plain(item)).append(quote);
  }
  return text + (items.size() == 1 ? ",)" : ")");
}

std::string Values::describe(NodeId id) const {
  switch (kind(id)) {
    case ValueKind::Scalar:
      break;
    case ValueKind::Tensor:
      return "tensor";
    case ValueKind::Mapping:
      return "dict of " + std::to_string(elements(id).size());
    case ValueKind::Sequence:
      return "list of " + std::to_string(elements(id).size());
    case ValueKind::Set:
      return "set of " + std::to_string(elements(id).size());
    case ValueKind::Module:
      return "module of class " + class_name(id);
    case ValueKind::Opaque:
      return "object of class " + class_name(id);
    case ValueKind::Array:
      return describe_array(*this, id);
  }
  switch (graph_.kind(id)) {
    case Kind::Str:
      return std::string("'").append(printable(graph_.text(id), kShownTextBytes)).append("'");
    case Kind::Bytes:
      return std::to_string(graph_.text(id).size()) + " bytes";
    case Kind::BigInt:
      return graph_.text(id).empty() ? "integer of very many digits" : std::string(graph_.text(id));
    case Kind::Global:
      return pickle::to_string(graph_.global(id));
    default:
      return key_text(id);
  }
}

NodeId Values::find(NodeId mapping, std::string_view key) const {
  for (const Element& element : elements(mapping)) {
    if (element.key != kNoNode && graph_.kind(element.key) == Kind::Str && graph_.text(element.key) == key) {
      return element.value;
    }
  }
  return kNoNode;
}

}  // namespace mq::formats::torch
