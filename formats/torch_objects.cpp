// Objects of classes that are not known: what they hold, and which calls are accepted.
#include <unordered_set>
#include <utility>

#include "formats/limits.hpp"
#include "formats/python_library.hpp"
#include "formats/torch_values.hpp"

namespace mq::formats::torch {

using pickle::Kind;
using pickle::Object;

void Values::check_calls(bool strict) const {
  const auto check = [&](NodeId name, const Object& object) {
    const pickle::Global& global = graph_.global(name);
    const bool may = may_be_called(global);
    if (may && (!strict || is_weights_only(global))) return;
    throw Error({.code = ErrorCode::Unsupported,
                 .message = "global " + pickle::to_string(global) + " is not allowed" + (may ? " with --strict" : ""),
                 .file = source_,
                 .offset = object.offset,
                 .hint = may ? "it would be kept as inert data otherwise"
                             : "the pickle calls it when it is loaded in Python; nothing was executed here"});
  };
  std::unordered_set<NodeId> checked;  // one tuple may be the arguments of many calls
  for (const Object& object : graph_.objects()) {
    check(object.callable, object);
    const pickle::Global& global = graph_.global(object.callable);
    if (!is_plain_value(global.module, global.name) || !checked.insert(object.args).second) continue;
    // partial, defaultdict and their like call what they are given.
    for (const NodeId argument : graph_.items(object.args)) {
      if (graph_.kind(argument) == Kind::Global) check(argument, object);
    }
  }
}

NodeId Values::typed_content(NodeId id) const {
  for (int depth = 0; depth < kMaxWrappers; ++depth) {
    if (graph_.kind(id) != Kind::Object) return id;
    const Object& object = graph_.object(id);
    if (callable(graph_.global(object.callable)) != Callable::Typed) return id;
    const auto args = graph_.items(object.args);
    if (args.empty() || (graph_.kind(args[0]) != Kind::List && graph_.kind(args[0]) != Kind::Dict &&
                         graph_.kind(args[0]) != Kind::Tuple && graph_.kind(args[0]) != Kind::Object)) {
      fail(ErrorCode::Corrupt, id, "typed container without a container");
    }
    id = args[0];
  }
  fail(ErrorCode::Corrupt, id, "typed container inside too many others");
}

void Values::add_object(NodeId id, std::vector<Element>& out) const {
  const Object& object = graph_.object(id);
  const auto add_items = [&](std::span<const NodeId> items) {
    for (const NodeId item : items) out.push_back({kNoNode, item});
  };
  const auto add_pairs = [&](std::span<const NodeId> pairs) {
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2) out.push_back({pairs[i], pairs[i + 1]});
  };
  add_items(graph_.items(object.args));
  add_items(object.items);
  if (object.kwargs != kNoNode) add_pairs(graph_.items(object.kwargs));
  add_pairs(object.entries);
  if (object.state == kNoNode) return;
  if (graph_.kind(object.state) == Kind::Dict) return add_pairs(graph_.items(object.state));
  if (graph_.kind(object.state) != Kind::Tuple) return out.push_back({kNoNode, object.state});
  // (attributes, slots), or whatever a class of its own gave to Python or TorchScript.
  const auto parts = graph_.items(object.state);
  const auto is_dict = [&](NodeId part) { return graph_.kind(part) == Kind::Dict || graph_.kind(part) == Kind::None; };
  const bool slots = parts.size() == 2 && is_dict(parts[0]) && graph_.kind(parts[1]) == Kind::Dict;
  if (!slots) return add_items(parts);
  for (const NodeId part : parts) {
    if (graph_.kind(part) == Kind::Dict) add_pairs(graph_.items(part));
  }
}

// As torch.nn.Module.state_dict walks: parameters, buffers, children, each in the order in which they were registered.
void Values::add_module(NodeId id, std::vector<Element>& out, std::vector<Element>* others) const {
  const NodeId state = graph_.object(id).state;
  std::unordered_set<std::string_view> transient;
  if (const NodeId names = find(state, "_non_persistent_buffers_set");
      names != kNoNode && kind(names) == ValueKind::Set) {
    for (const Element& name : elements(names)) {
      if (graph_.kind(name.value) == Kind::Str) transient.insert(graph_.text(name.value));
    }
  }
  const auto is_none = [&](NodeId value) { return graph_.kind(value) == Kind::None; };
  for (const std::string_view key : {"_parameters", "_buffers", "_modules"}) {
    const NodeId members = find(state, key);
    if (members == kNoNode || is_none(members)) continue;
    if (kind(members) != ValueKind::Mapping) fail(ErrorCode::Corrupt, members, std::string(key) + " of no mapping");
    for (const Element& member : elements(members)) {
      if (is_none(member.value)) continue;
      const bool left =
          key == "_buffers" && graph_.kind(member.key) == Kind::Str && transient.contains(graph_.text(member.key));
      if (!left) {
        out.push_back(member);
      } else if (others != nullptr) {
        others->push_back(member);
      }
    }
  }
  if (others == nullptr) return;
  for (const Element& attribute : elements(state)) {
    if (attribute.key == kNoNode || graph_.kind(attribute.key) != Kind::Str) continue;
    const std::string_view key = graph_.text(attribute.key);
    if (key != "_parameters" && key != "_buffers" && key != "_modules") others->push_back(attribute);
  }
}

std::vector<Element> Values::other_attributes(NodeId id) const {
  std::vector<Element> members;
  std::vector<Element> others;
  add_module(id, members, &others);
  return others;
}

std::string Values::class_name(NodeId id) const {
  return pickle::to_string(graph_.global(graph_.object(id).callable));
}

std::string Values::layer_type(NodeId id) const {
  const ValueKind what = kind(id);
  if (what != ValueKind::Module && what != ValueKind::Opaque) return {};
  const std::string name = class_name(id);
  if (what == ValueKind::Opaque && !name.starts_with("__torch__.")) return {};
  return name.substr(name.rfind('.') + 1);
}

}  // namespace mq::formats::torch
