#include "formats/torch_arguments.hpp"

#include <utility>

#include "formats/limits.hpp"

namespace mq::formats::torch {

using pickle::Kind;

void Arguments::fail(ErrorCode code, std::string message, std::string expected, std::string found) const {
  throw Error({.code = code,
               .message = std::move(message),
               .file = values_.source(),
               .tensor = std::string(name_),
               .offset = graph_.offset(node_),
               .expected = std::move(expected),
               .found = std::move(found)});
}

std::int64_t Arguments::integer(NodeId id, const char* what) const {
  if (graph_.kind(id) != Kind::Int) corrupt(std::string(what) + " that is no integer");
  return graph_.integer(id);
}

std::int64_t Arguments::index(NodeId id, const char* what) const {
  if (graph_.kind(id) != Kind::Int || graph_.integer(id) < 0) {
    corrupt(std::string(what) + " that is not a number of elements");
  }
  return graph_.integer(id);
}

std::span<const NodeId> Arguments::tuple(NodeId id, const char* what) const {
  if (graph_.kind(id) == Kind::Object && callable(graph_.global(graph_.object(id).callable)) == Callable::Size) {
    const auto args = graph_.items(graph_.object(id).args);
    if (args.size() != 1) corrupt(std::string(what) + " of the wrong type");
    id = args[0];
  }
  if (graph_.kind(id) != Kind::Tuple && graph_.kind(id) != Kind::List)
    corrupt(std::string(what) + " of the wrong type");
  return graph_.items(id);
}

Shape Arguments::indices(NodeId id, const char* what) const {
  const auto items = tuple(id, what);
  if (items.size() > values_.limits().rank) {
    refuse_limit(values_.limits(), &Limits::rank,
                 {.message = "dimensions of a tensor",
                  .file = values_.source(),
                  .tensor = std::string(name_),
                  .offset = graph_.offset(node_),
                  .found = std::to_string(items.size())});
  }
  Shape out;
  for (const NodeId item : items) out.push_back(index(item, what));
  return out;
}

double Arguments::number(NodeId id, const char* what) const {
  if (graph_.kind(id) == Kind::Float) return graph_.real(id);
  if (graph_.kind(id) == Kind::Int) return static_cast<double>(graph_.integer(id));
  corrupt(std::string(what) + " that is no number");
}

std::string_view Arguments::text(NodeId id, const char* what) const {
  if (graph_.kind(id) != Kind::Str && graph_.kind(id) != Kind::Bytes) corrupt(std::string(what) + " that is no text");
  return graph_.text(id);
}

DType Arguments::dtype(NodeId id) const {
  if (graph_.kind(id) != Kind::Global) corrupt("element type of the wrong type");
  const std::optional<DType> dtype = dtype_of(graph_.global(id));
  if (!dtype)
    fail(ErrorCode::Unsupported, "elements of type " + pickle::to_string(graph_.global(id)) + " are not read");
  return *dtype;
}

void Arguments::require_bool(NodeId id, const char* what) const {
  if (graph_.kind(id) != Kind::Bool) corrupt(std::string(what) + " of the wrong type");
}

void Arguments::require_hooks(NodeId id) const {
  const bool none = graph_.kind(id) == Kind::None || graph_.kind(id) == Kind::Dict;
  const bool ordered =
      graph_.kind(id) == Kind::Object && callable(graph_.global(graph_.object(id).callable)) == Callable::OrderedDict;
  if (!none && !ordered) corrupt("backward hooks of the wrong type");
}

void Arguments::require_count(std::size_t found, std::size_t least, std::size_t most) const {
  if (found >= least && found <= most) return;
  corrupt("number of arguments of the rebuild call", std::to_string(least), std::to_string(found));
}

}  // namespace mq::formats::torch
