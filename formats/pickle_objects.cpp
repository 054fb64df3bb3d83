// Opcodes that put values into others, name classes, and record calls.
#include <algorithm>
#include <utility>

#include "formats/pickle_listing.hpp"
#include "formats/pickle_machine.hpp"

namespace mq::formats::pickle {

void Machine::op_tuple() {
  const NodeId id = add_tuple(since_mark());
  drop_to_mark();
  push(id);
}

void Machine::op_append() {
  const NodeId item = pop();
  add_items(top(), std::array{item}, Kind::List);
}

// The containers of the three that follow lie below the mark: the items are copied before they are dropped.
void Machine::op_appends() {
  const std::span<const NodeId> span = since_mark();
  const std::vector<NodeId> items(span.begin(), span.end());
  drop_to_mark();
  add_items(top(), items, Kind::List);
}

void Machine::op_additems() {
  const std::span<const NodeId> span = since_mark();
  const std::vector<NodeId> items(span.begin(), span.end());
  drop_to_mark();
  add_items(top(), items, Kind::Set);
}

void Machine::op_setitems() {
  const std::span<const NodeId> span = since_mark();
  const std::vector<NodeId> items(span.begin(), span.end());
  drop_to_mark();
  add_entries(top(), items);
}

void Machine::op_setitem() {
  const NodeId value = pop();
  const NodeId key = pop();
  add_entries(top(), std::array{key, value});
}

void Machine::op_global() {
  const std::string_view module = take_line();
  push_global(module, take_line());
}

void Machine::op_stack_global() {
  const NodeId name = pop();
  const NodeId module = pop();
  if (lists() && (graph_.kind(name) != Kind::Str || graph_.kind(module) != Kind::Str)) {
    return push_global(kComputed, "name");
  }
  require(name, Kind::Str, "name of a global");
  require(module, Kind::Str, "module of a global");
  push_global(graph_.text(module), graph_.text(name));
}

void Machine::op_inst() {
  const std::string_view module = take_line();
  push_global(module, take_line());
  const NodeId callable = pop();
  const NodeId args = add_tuple(since_mark());
  drop_to_mark();
  push_object(callable, args).called = true;
}

void Machine::op_obj() {
  const std::span<const NodeId> items = since_mark();
  if (items.empty()) corrupt("OBJ without a class");
  const NodeId callable = items.front();
  const NodeId args = add_tuple(items.subspan(1));
  drop_to_mark();
  push_object(callable, args).called = true;
}

void Machine::op_reduce() {
  const NodeId args = pop();
  const NodeId callable = pop();
  push_object(callable, args).called = true;
}

void Machine::op_newobj() {
  const NodeId args = pop();
  const NodeId callable = pop();
  push_object(callable, args);
}

void Machine::op_newobj_ex() {
  const NodeId kwargs = pop();
  const NodeId args = pop();
  const NodeId callable = pop();
  const bool keep = !lists() || graph_.kind(kwargs) == Kind::Dict;
  if (keep) require(kwargs, Kind::Dict, "keyword arguments");
  push_object(callable, args).kwargs = keep ? kwargs : kNoNode;
}

void Machine::op_build() {
  const NodeId state = pop();
  const NodeId target = top();
  note_change(target, state);
  if (graph_.kind(target) != Kind::Object) {
    if (lists()) return;
    corrupt("BUILD of something that is not an object");
  }
  Object& object = graph_.objects_[std::get<Graph::Index>(graph_.nodes_[target].payload).value];
  if (object.state != kNoNode && !lists()) corrupt("BUILD of one object twice");
  object.state = state;
}

void Machine::op_persid_line() {
  const NodeId text = add(Kind::Str, take_line());
  push(add(Kind::PersistentId, Graph::Index{text}));
}

// Streams of old versions give classes with their source text: ("module", class, file, text), in tar archives
// (class, file, text). They stand for the class.
void Machine::op_binpersid() {
  const NodeId id = pop();
  if (graph_.kind(id) == Kind::Tuple) {
    const std::span<const NodeId> items = graph_.items(id);
    const bool named = items.size() == 4 && graph_.kind(items[0]) == Kind::Str && graph_.text(items[0]) == "module";
    const std::size_t at = named ? 1 : 0;
    if ((named || items.size() == 3) && graph_.kind(items[at]) == Kind::Global) return push(items[at]);
  }
  push(add(Kind::PersistentId, Graph::Index{id}));
}

}  // namespace mq::formats::pickle
