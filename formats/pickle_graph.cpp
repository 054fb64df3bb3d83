#include "formats/pickle_graph.hpp"

namespace mq::formats::pickle {

std::string to_string(const Global& global) {
  std::string text(global.module);
  text += '.';
  text += global.name;
  return text;
}

std::span<const NodeId> Graph::items(NodeId id) const {
  const Node& node = nodes_[id];
  if (const Slice* slice = std::get_if<Slice>(&node.payload)) {
    return std::span(tuple_items_).subspan(slice->first, slice->count);
  }
  return growing_[std::get<Index>(node.payload).value];
}

}  // namespace mq::formats::pickle
